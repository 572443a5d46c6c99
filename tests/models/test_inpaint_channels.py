"""Backbones that take mask and video are told apart by their input channels, which stand in their order."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.models.config import DiTConfig
from vp_jax.models.inpaint_channels import inpaint_input, inpaint_kind

TINY = DiTConfig(2, 16, 2, out_channels=4)


@pytest.mark.parametrize(
    "channels, takes_condition, kind",
    [(4, False, None), (8, False, None), (9, False, "fun_inp"), (12, False, "void"), (9, True, None), (13, True, None)],
)
def test_the_number_of_input_channels_says_the_kind(channels, takes_condition, kind):
    assert inpaint_kind(dataclasses.replace(TINY, in_channels=channels, takes_condition=takes_condition)) == kind


@pytest.mark.parametrize("kind, width", [("fun_inp", 1), ("void", 4)])
def test_mask_and_video_stand_behind_the_noisy_latents(kind, width):
    noisy, mask, video = (jnp.full((1, 2, 2, 2, n), value) for n, value in ((4, 1.0), (width, 2.0), (4, 3.0)))
    found = np.asarray(inpaint_input(kind, noisy, mask, video))
    assert found[0, 0, 0, 0].tolist() == [1.0] * 4 + [2.0] * width + [3.0] * 4
