"""Inputs of a small job for `vp-jax sample`, and a stand-in for the model."""

import numpy as np
import pytest

from tests import clip_files
from tests.cli.sample_job import FRAMES, HOLES
from tests.painter import painter  # noqa: F401


@pytest.fixture
def pipeline(painter):  # noqa: F811
    return painter


@pytest.fixture
def given(tmp_path):
    """A folder of inputs; returns the command line as a dict to be changed."""
    (tmp_path / "weights").mkdir()
    clip_files.folder(tmp_path / "video", FRAMES)
    clip_files.folder(tmp_path / "mask", HOLES.astype(np.uint8) * 255)
    return {
        "--checkpoint": tmp_path / "weights", "--video": tmp_path / "video", "--mask": tmp_path / "mask",
        "--prompt": "a pink wall", "--out": tmp_path / "new" / "out.mkv",
    }  # fmt: skip
