"""What the VAE sees in holes: made of kept pixels alone, equal to the frame outside, and harmless to kept latents."""

import jax.numpy as jnp
import numpy as np
import pytest

from bench.fills import leaks
from bench.nano import cases
from vp_jax import Pipeline
from vp_jax.inference.hole_fill import fill_holes
from vp_jax.inference.settings import FILLS

HOLES = np.zeros((1, 2, 32, 48), np.float32)
HOLES[0, 0, 8:24, 10:30] = 1


@pytest.fixture
def frames():
    return np.random.default_rng(0).uniform(-1, 1, (1, 2, 32, 48, 3)).astype(np.float32)


def filled(frames, fill, holes=HOLES):
    return np.asarray(fill_holes(jnp.asarray(frames), jnp.asarray(holes), fill))


@pytest.mark.slow
@pytest.mark.parametrize("fill", FILLS)
def test_kept_pixels_are_those_of_the_frame(frames, fill):
    kept = HOLES == 0
    np.testing.assert_array_equal(filled(frames, fill)[kept], frames[kept])


@pytest.mark.parametrize("fill", ["smooth", "mean"])
def test_what_is_in_the_hole_is_not_read(frames, fill):
    other = frames.copy()
    other[HOLES > 0] = np.nan
    np.testing.assert_array_equal(filled(other, fill), filled(frames, fill))


def test_mean_is_that_of_the_frame_and_not_of_the_clip(frames):
    frames[0, 1] += 7
    expected = frames[0, 0][HOLES[0, 0] == 0].mean(0)
    np.testing.assert_allclose(filled(frames, "mean")[0, 0, 12, 12], expected, atol=1e-5)


def test_smooth_follows_the_sides_of_the_hole():
    frames = np.zeros((1, 2, 32, 48, 3), np.float32)
    frames[..., :20, :] = -0.8
    frames[..., 20:, :] = 0.6
    row = filled(frames, "smooth")[0, 0, 16, :, 0]
    assert row[10] == pytest.approx(-0.8, abs=0.1) and row[29] == pytest.approx(0.6, abs=0.1)
    assert (np.diff(row[10:30]) >= -1e-6).all() and -0.8 <= row.min() and row.max() <= 0.6 + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("fill", ["smooth", "mean"])
@pytest.mark.parametrize("height, width", [(16, 16), (48, 80), (60, 90)])
def test_a_flat_frame_is_filled_with_its_colour_whatever_its_size(height, width, fill):
    holes = np.zeros((1, 1, height, width), np.float32)
    holes[0, 0, 1 : height // 2, 3:] = 1
    frames = np.full((1, 1, height, width, 3), 0.25, np.float32)
    np.testing.assert_allclose(filled(frames, fill, holes), 0.25, atol=1e-6)


@pytest.mark.parametrize("fill", ["smooth", "mean"])
def test_a_frame_of_holes_becomes_grey(frames, fill):
    assert (filled(frames, fill, np.ones_like(HOLES)) == 0).all()


@pytest.mark.slow
def test_latents_of_kept_cells_move_by_less_than_a_hundredth_and_least_with_smooth_holes():
    clips = list(cases.inpainting(8))
    found = leaks(Pipeline.load("nano", precision="float32"), clips)
    assert max(found["smooth"]) < 0.01
    assert all(
        smooth < mean < black for smooth, mean, black in zip(*(found[fill][:3] for fill in ("smooth", "mean", "black")))
    )
