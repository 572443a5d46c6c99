"""Sizes of the latent grid, and which pixel stands for a cell."""

import numpy as np
import pytest
import torch

from vp_jax import shapes


@pytest.mark.parametrize("frames, latents", [(1, 1), (2, 1), (4, 1), (5, 2), (8, 2), (9, 3), (17, 5), (49, 13)])
def test_the_first_frame_is_one_latent_and_four_more_are_the_next(frames, latents):
    assert shapes.latent_frames(frames) == latents
    assert shapes.latent_grid(frames, 480, 720) == (latents, 60, 90)


@pytest.mark.parametrize("latents", range(1, 14))
def test_latents_decode_to_frames_that_encode_to_as_many(latents):
    frames = shapes.pixel_frames(latents)
    assert frames == 4 * latents - 3 and shapes.latent_frames(frames) == latents
    assert shapes.latent_frames(frames + 3) == latents and shapes.latent_frames(frames + 4) == latents + 1


def test_every_frame_belongs_to_a_latent():
    assert shapes.latent_index(10).tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3]
    index = shapes.latent_index(49)
    assert index[-1] == shapes.latent_frames(49) - 1
    assert np.bincount(index).tolist() == [1] + [4] * 12


@pytest.mark.parametrize("size, out", [(49, 13), (17, 5), (480, 60), (45, 30), (7, 7), (5, 8), (100, 3)])
def test_nearest_samples_are_torch_s(size, out):
    axis = torch.arange(size, dtype=torch.float64)[None, None]
    want = torch.nn.functional.interpolate(axis, out, mode="nearest")[0, 0]
    np.testing.assert_array_equal(shapes.nearest_index(size, out), want.numpy())


def test_sizes_that_do_not_divide_are_rounded_down():
    assert shapes.latent_grid(6, 47, 65) == (2, 5, 8)
