"""Guidance table in float64 and the guided combination."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.diffusion.guidance import guidance_table, guide
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError


def test_dynamic_table_is_the_released_formula_on_timesteps():
    timesteps = Schedule().timesteps(50)
    want = [1 + 6.0 * (1 - math.cos(math.pi * ((50 - t) / 50) ** 5.0)) / 2 for t in timesteps.tolist()]
    got = guidance_table(6.0, timesteps, dynamic=True)
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert got.dtype == np.float64 and got.min() >= 1 and got.max() <= 7


def test_static_table():
    assert guidance_table(4.0, np.array([999, 499]), dynamic=False).tolist() == [4.0, 4.0]


def test_guide_limits():
    pair = jnp.arange(8.0).reshape(4, 2)  # [negative, positive]
    np.testing.assert_array_equal(guide(pair, jnp.float32(0)), pair[:2])
    np.testing.assert_array_equal(guide(pair, jnp.float32(1)), pair[2:])
    np.testing.assert_array_equal(guide(pair, jnp.float32(2)), 2 * pair[2:] - pair[:2])


def test_negative_guidance_is_named():
    with pytest.raises(UserError, match="guidance -1"):
        guidance_table(-1, np.array([999]), dynamic=True)
