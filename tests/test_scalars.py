"""Metrics files: exact lines, restarts, damaged lines, TensorBoard."""

import numpy as np

from vp_jax import scalars as metrics


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
