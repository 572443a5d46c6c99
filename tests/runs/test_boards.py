"""Boards that show a run: TensorBoard files hold its numbers, W&B gets them under one identifier, names are checked."""

import sys
import types

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.runs.boards import board_names, open_boards
from vp_jax.scalars import MetricsWriter


def test_tensorboard_holds_the_same_numbers(tmp_path):
    from tensorboardX.event_file_writer import EventsWriter  # noqa: F401  of the test extra
    from tensorboardX.proto.event_pb2 import Event

    with MetricsWriter(tmp_path, boards=open_boards("tensorboard", tmp_path, 0, {})) as writer:
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


class Run:
    def __init__(self):
        self.logged, self.finished = [], False

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    """The package's face, offline: what it is called with."""
    stub = types.ModuleType("wandb")
    stub.runs, stub.asked = [], []

    def init(**named):
        stub.asked.append(named)
        stub.runs.append(Run())
        return stub.runs[-1]

    stub.init, stub.Image, stub.Video = init, lambda image: ("image", image.shape), lambda file, format: (file, format)
    monkeypatch.setitem(sys.modules, "wandb", stub)
    return stub


def test_wandb_gets_numbers_pictures_and_videos_with_their_steps(wandb, tmp_path):
    with MetricsWriter(tmp_path, boards=open_boards("wandb", tmp_path, 0, {"steps": 5})) as writer:
        writer.write(2, {"loss": 0.5, "bad": float("nan")})
        writer.picture(2, "sample_0", np.zeros((4, 6, 3), np.uint8))
        writer.video(2, "video_0", tmp_path / "a.mp4")
    (run,) = wandb.runs
    assert run.logged == [
        (2, {"loss": 0.5}),
        (2, {"sample_0": ("image", (4, 6, 3))}),
        (2, {"video_0": (str(tmp_path / "a.mp4"), "mp4")}),
    ]
    assert run.finished
    assert wandb.asked[0]["config"] == {"steps": 5} and wandb.asked[0]["name"] == tmp_path.name


def test_a_run_that_continues_is_one_run_of_wandb(wandb, tmp_path):
    for step in (0, 3):
        open_boards("wandb", tmp_path, step, {})
    open_boards("wandb", tmp_path / "other", 0, {})
    first, again, other = (asked["id"] for asked in wandb.asked)
    assert first == again != other and wandb.asked[1]["resume"] == "allow"


def test_a_missing_package_is_one_line_if_somebody_asked_for_it(monkeypatch, tmp_path):
    for name in ("wandb", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, None)
    assert open_boards("tensorboard", tmp_path, 0, {}) == []
    with pytest.raises(UserError, match=r"boards wandb: the package is missing, pip install 'vp_jax\[wandb\]'"):
        open_boards("tensorboard,wandb", tmp_path, 0, {})


def test_names_are_checked():
    assert board_names("") == () and board_names("tensorboard, wandb") == ("tensorboard", "wandb")
    with pytest.raises(UserError, match="boards 'aim': expected tensorboard, wandb"):
        board_names("tensorboard,aim")
