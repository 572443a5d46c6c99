"""A video sampled by several devices together, with the ID adapter: the latents of one device."""

import dataclasses

import numpy as np
import pytest

from tests import tiny
from vp_jax import checkpoint
from vp_jax.errors import UserError
from vp_jax.inference.padded import pad_video
from vp_jax.inference.pipeline import Pipeline
from vp_jax.models.config import BranchConfig


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny models with four heads, so that a sequence divides over four devices, and an ID adapter."""
    wide = {"num_heads": 4}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "DIT", dataclasses.replace(tiny.DIT, **wide))
        patch.setattr(tiny, "BRANCH", BranchConfig(dataclasses.replace(tiny.BRANCH.dit, **wide)))
        made = tmp_path_factory.mktemp("four_heads")
        tiny.save_tiny(made, tiny.tiny_pipeline())
    return made


def latents(folder, mesh):
    frames, holes, prompt = tiny.tiny_clip()
    pipe = Pipeline.load(folder, precision="float32", mesh=mesh)
    settings = pipe.settings.changed(steps=1)
    padded = pad_video(frames[:5], holes[:5], settings)
    return pipe, pipe.sample_latents(padded.frames_FHWC, padded.holes_FHW, prompt, settings)


@pytest.fixture(scope="module")
def alone(folder):
    return latents(folder, None)[1]


@pytest.mark.slow
@pytest.mark.parametrize("mesh, devices", [("data=2", 2), ("data=2,context=2", 4), ("auto", 8)])
def test_latents_are_those_of_one_device(folder, alone, mesh, devices):
    pipe, found = latents(folder, mesh)
    matrix = pipe.params["backbone"]["blocks"]["ff"]["up"]["kernel"]
    assert len(matrix.sharding.device_set) == devices
    np.testing.assert_allclose(found, alone, atol=1e-4 * np.abs(alone).max())


def test_a_mesh_that_cannot_be_is_refused_before_weights_are_read(folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "load_params", None)
    for text, words in (
        ("2x4", "mesh '2x4': expected AXIS=SIZE"),
        ("data=3,context=4", "is for 12 devices, there are 8"),
        ("rows=2", "mesh axes"),
    ):
        with pytest.raises(UserError, match=words):
            Pipeline.load(folder, precision="float32", mesh=text)
        with pytest.raises(UserError, match=words):
            Pipeline.describe(folder, precision="float32", mesh=text)
