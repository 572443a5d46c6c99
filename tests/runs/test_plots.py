"""Curves of a run as one picture: drawn from its metrics, or one line that says why not."""

import numpy as np
import pytest
from PIL import Image

from vp_jax import scalars as metrics
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.runs import plots


def test_curves_are_drawn(tmp_path, capsys):
    rng = np.random.default_rng(0)
    with metrics.MetricsWriter(tmp_path) as writer:
        for step in range(1, 60):
            writer.write(
                step,
                {
                    "loss": rng.uniform(1, 2),
                    "grad_norm": 1.0,
                    "lr": 1e-5,
                    "loss_t000": 2.0,
                    "loss_t900": 0.1,
                    "examples_per_s": 3.0,
                    "data_wait": 0.1,
                    "mfu": 0.4,
                },
            )
    run(["plots", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1430, 770)
        assert len(set(np.asarray(picture.convert("L")).ravel().tolist())) > 50


def test_no_metrics_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no metrics.jsonl"):
        plots.draw_curves(tmp_path, tmp_path / "x.png")


def test_a_picture_of_an_unknown_format_is_refused(tmp_path):
    (tmp_path / metrics.METRICS_FILE).write_text('{"step": 1, "loss": 2.0}\n')
    with pytest.raises(UserError, match="nope"):
        plots.draw_curves(tmp_path, tmp_path / "curves.nope")
