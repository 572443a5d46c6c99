"""Curves of a run as one picture: drawn from its metrics, or one line that says why not."""

from pathlib import Path

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
                    "grad_norm_zero": 0.5,
                    "val_loss": 0.5 + 1 / step,
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
        assert picture.size == (1430, 1155)
        assert len(set(np.asarray(picture.convert("L")).ravel().tolist())) > 50


def test_what_a_run_did_not_measure_has_no_panel(tmp_path):
    with metrics.MetricsWriter(tmp_path) as writer:
        for step in range(1, 5):
            writer.write(step, {"loss": 1.0 / step, "lr": 1e-3})
    one, two = (
        plots.draw_curves(tmp_path, tmp_path / "one.png"),
        plots.draw_comparison([tmp_path], tmp_path / "two.png"),
    )
    sizes = []
    for path in (one, two):
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == pytest.approx(2 * sizes[1][0], abs=2) and sizes[0][1] == sizes[1][1]


def test_metrics_that_nothing_draws_are_one_line(tmp_path):
    (tmp_path / metrics.METRICS_FILE).write_text('{"step": 1, "other": 2.0}\n')
    with pytest.raises(UserError, match=r"nothing to draw, the metrics hold none of loss, val_loss"):
        plots.draw_curves(tmp_path, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_no_metrics_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no metrics.jsonl"):
        plots.draw_curves(tmp_path, tmp_path / "x.png")


def test_a_picture_of_an_unknown_format_is_refused(tmp_path):
    (tmp_path / metrics.METRICS_FILE).write_text('{"step": 1, "loss": 2.0}\n')
    with pytest.raises(UserError, match="nope"):
        plots.draw_curves(tmp_path, tmp_path / "curves.nope")


def colours(path):
    with Image.open(path) as picture:
        return {tuple(value) for value in np.asarray(picture.convert("RGB")).reshape(-1, 3)}


@pytest.mark.slow
def test_several_runs_have_a_colour_each_in_one_picture(tmp_path, capsys):
    runs = [tmp_path / name for name in ("a/run", "b/run", "c")]
    for number, folder in enumerate(runs):
        with metrics.MetricsWriter(folder) as writer:
            for step in range(1, 5):
                writer.write(step, {"loss": 1.0 + number, "val_hole_psnr": 10.0 + step})
    out = tmp_path / "both.png"
    run(["plots", *map(str, runs[:2]), "--out", str(out)])
    assert capsys.readouterr().out.strip() == str(out)
    blue, orange, green = (31, 119, 180), (255, 127, 14), (44, 160, 44)  # the cycle of matplotlib
    assert {blue, orange} <= colours(out) and green not in colours(out)
    run(["plots", *map(str, runs), "--out", str(out)])
    assert green in colours(out)
    assert [plots._label(folder, runs) for folder in runs] == ["a/run", "b/run", "c"]


def test_several_runs_need_a_place_for_the_picture(tmp_path):
    with pytest.raises(UserError, match="--out PICTURE"):
        run(["plots", str(tmp_path), str(tmp_path)])
    (tmp_path / metrics.METRICS_FILE).write_text('{"step": 1, "loss": 2.0}\n')
    with pytest.raises(UserError, match=r"no metrics\.jsonl with steps in .*empty"):
        run(["plots", str(tmp_path), str(tmp_path / "empty"), "--out", str(tmp_path / "x.png")])


def test_many_curves_have_a_colour_and_a_short_name_each(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: drawn.append(figure) or Path(path).touch())
    names = [f"grad_norm_part{number}" for number in range(14)]
    with metrics.MetricsWriter(tmp_path) as writer:
        for step in (1, 2):
            writer.write(step, dict.fromkeys(names, 0.1 * step))
    plots.draw_curves(tmp_path, tmp_path / "curves.png")
    (axis,) = [axis for axis in drawn[0].axes if axis.get_title() == "gradient norms of parts"]
    assert len({line.get_color() for line in axis.lines}) == 14
    assert [text.get_text() for text in axis.get_legend().get_texts()] == sorted(f"part{n}" for n in range(14))
