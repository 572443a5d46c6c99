"""Exact arithmetic: what the functions approximate, and that sums over pixels are those of the whole."""

import numpy as np
import pytest

from vp_jax.world.lit.arithmetic import GRID, line_cover, on_grid, soft_step, wave


def test_a_wave_is_a_sine_to_a_tenth_of_a_percent():
    turns = np.linspace(-3, 3, 5001)
    np.testing.assert_allclose(wave(turns), np.sin(2 * np.pi * turns), atol=1.1e-3)
    assert wave(turns.astype(np.float32)).dtype == np.float32


def test_a_soft_step_is_flat_at_both_ends():
    np.testing.assert_allclose(soft_step(np.array([-1, 0, 0.25, 0.5, 1, 2])), [0, 0, 0.15625, 0.5, 1, 1])
    steps = np.diff(soft_step(np.linspace(0, 1, 101)))
    assert (steps > 0).all() and steps[0] < 0.1 * steps[50] and steps[-1] < 0.1 * steps[50]


def test_values_on_the_grid_do_not_depend_on_their_last_bits():
    x = np.random.default_rng(0).uniform(-2, 2, 1000)
    np.testing.assert_array_equal(on_grid(x), on_grid(np.nextafter(x, 9)))
    assert np.abs(on_grid(x) - x).max() <= GRID / 2 and not (on_grid(x) / GRID % 1).any()


def test_lines_cover_their_share_of_every_pixel():
    """Periods of four pixels and lines of one and a half: one pixel in full and half of the next."""
    np.testing.assert_allclose(line_cover((np.arange(8) + 0.5) / 4, 1.5 / 4, np.float64(1 / 4)), [1, 0.5, 0, 0] * 2)


@pytest.mark.parametrize("pixel", [0.07, 0.31, 1.0, 2.6])
def test_lines_are_the_means_of_finer_pixels(pixel):
    fine = 1000
    x = (np.arange(-20, 20) + 0.5) * pixel
    samples = x[:, None] + ((np.arange(fine) + 0.5) / fine - 0.5) * pixel
    np.testing.assert_allclose(line_cover(x, 0.3, np.float64(pixel)), (samples % 1 < 0.3).mean(1), atol=2e-3)
