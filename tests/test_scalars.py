"""Metrics files, and the curves drawn from them."""

import numpy as np
import pytest
from PIL import Image

from vp_jax import scalars as metrics
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.runs import plots


def test_lines_come_back_exactly_and_a_restart_drops_what_it_repeats(tmp_path):
    with metrics.MetricsWriter(tmp_path) as writer:
        for step in range(1, 6):
            writer.write(step, {"loss": 1 / 3 / step, "bad": float("nan")})
    with open(tmp_path / metrics.FILE, "a") as file:
        file.write('{"step": 6, "lo')
    assert metrics.read_metrics(tmp_path) == [{"step": s, "loss": 1 / 3 / s} for s in range(1, 6)]
    with metrics.MetricsWriter(tmp_path, resume_step=3) as writer:
        writer.write(4, {"loss": 0.5})
    assert [line["step"] for line in metrics.read_metrics(tmp_path)] == [1, 2, 3, 4]


def test_a_damaged_line_takes_no_later_one_along(tmp_path):
    (tmp_path / metrics.FILE).write_text('{"step": 1}\n{"step": 2, "lo\n{"step": 3}\n')
    assert metrics.read_metrics(tmp_path) == [{"step": 1}, {"step": 3}]


def test_a_picture_of_an_unknown_format_is_refused(tmp_path):
    (tmp_path / metrics.FILE).write_text('{"step": 1, "loss": 2.0}\n')
    with pytest.raises(UserError, match="nope"):
        plots.draw(tmp_path, tmp_path / "curves.nope")


def test_tensorboard_holds_the_same_numbers(tmp_path):
    from tensorboardX.event_file_writer import EventsWriter  # noqa: F401  of the test extra
    from tensorboardX.proto.event_pb2 import Event

    with metrics.MetricsWriter(tmp_path) as writer:
        writer.write(3, {"loss": 0.25})
        writer.picture(3, "sample", np.zeros((4, 6, 3), np.uint8))
    data = next((tmp_path / "tensorboard").iterdir()).read_bytes()
    found = {}
    while data:  # a record: length, its checksum, the event, its checksum
        size = int.from_bytes(data[:8], "little")
        for value in Event.FromString(data[12 : 12 + size]).summary.value:
            found[value.tag] = value.simple_value if value.HasField("simple_value") else value.image.width
        data = data[16 + size :]
    assert found == {"loss": 0.25, "sample": 6}


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
        plots.draw(tmp_path, tmp_path / "x.png")
