"""Metrics files: exact lines, restarts, damaged lines, and what boards get."""

import os

import numpy as np
import pytest

from vp_jax import scalars as metrics
from vp_jax.errors import UserError


def test_lines_come_back_exactly_and_a_restart_drops_what_it_repeats(tmp_path):
    with metrics.MetricsWriter(tmp_path) as writer:
        for step in range(1, 6):
            writer.write(step, {"loss": 1 / 3 / step, "bad": float("nan")})
    with open(tmp_path / metrics.METRICS_FILE, "a") as file:
        file.write('{"step": 6, "lo')
    assert metrics.read_metrics(tmp_path) == [{"step": s, "loss": 1 / 3 / s} for s in range(1, 6)]
    with metrics.MetricsWriter(tmp_path, resume_step=3) as writer:
        writer.write(4, {"loss": 0.5})
    assert [line["step"] for line in metrics.read_metrics(tmp_path)] == [1, 2, 3, 4]


def test_a_damaged_line_takes_no_later_one_along(tmp_path):
    (tmp_path / metrics.METRICS_FILE).write_text('{"step": 1}\n{"step": 2, "lo\n{"step": 3}\n')
    assert metrics.read_metrics(tmp_path) == [{"step": 1}, {"step": 3}]


class Board:
    def __init__(self):
        self.seen = []

    def write(self, step, values):
        self.seen.append(("write", step, dict(values)))

    def picture(self, step, name, image_HWC):
        self.seen.append(("picture", step, name, image_HWC.shape))

    def video(self, step, name, file):
        self.seen.append(("video", step, name, file))

    def close(self):
        self.seen.append(("close",))


def test_boards_get_everything_and_are_closed_at_the_end(tmp_path):
    boards = [Board(), Board()]
    with metrics.MetricsWriter(tmp_path, boards=boards) as writer:
        writer.write(3, {"loss": 0.25, "bad": float("inf")})
        writer.picture(3, "sample", np.zeros((4, 6, 3), np.uint8))
        writer.video(3, "clip", tmp_path / "a.mp4")
    assert [board.seen for board in boards] == 2 * [
        [
            ("write", 3, {"loss": 0.25}),
            ("picture", 3, "sample", (4, 6, 3)),
            ("video", 3, "clip", tmp_path / "a.mp4"),
            ("close",),
        ]
    ]


@pytest.mark.parametrize(
    "damaged",
    [b"\x95\xff", b"[1]", b"null", b'{"loss": 1.0}', b'{"step": "2"}', b'{"step": 2, "loss": NaN}', b"[" * 100_000]
    + [b'{"step": 2, "loss": [1]}', b'{"step": 2, "loss": 1' + b"0" * 400 + b"}"],
    ids=range(9),
)
def test_a_line_that_is_not_a_step_with_numbers_is_left_out(tmp_path, damaged):
    (tmp_path / metrics.METRICS_FILE).write_bytes(b'{"step": 1, "loss": 0.5}\n' + damaged + b'\n{"step": 3}\n')
    assert metrics.read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 3}]


def test_metrics_that_are_no_file_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / metrics.METRICS_FILE)
    with pytest.raises(UserError, match=r"metrics\.jsonl is a pipe: expected a regular file"):
        metrics.read_metrics(tmp_path)
