"""Loss: per-example values, weights, the meaning of the hole term (golden values: tests/parity)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.diffusion import predict
from vp_jax.diffusion.loss import inpainting_loss


@pytest.fixture
def example():
    keys = jax.random.split(jax.random.key(0), 2)
    x0, noise = (jax.random.normal(k, (2, 3, 4, 4, 5)) for k in keys)
    abar = jnp.array([0.2, 0.95])
    return x0, predict.add_noise(x0, noise, abar), predict.velocity(x0, noise, abar), abar


def test_perfect_prediction_costs_nothing(example):
    x0, x_t, v, abar = example
    loss = inpainting_loss(x_t, v, x0, jnp.ones((2, 3, 4, 4)), abar)
    np.testing.assert_allclose(loss.total(), 0, atol=1e-9)


def test_weight_turns_x0_error_into_velocity_error(example):
    """x0_pred - x0 = -s (v_pred - v), so w = 1 / s^2 makes it the plain velocity error."""
    x0, x_t, v, abar = example
    loss = inpainting_loss(x_t, v + 0.5, x0, jnp.zeros((2, 3, 4, 4)), abar)
    np.testing.assert_allclose(loss.whole_B, 0.25, rtol=1e-5)
    np.testing.assert_array_equal(loss.hole_B, 0)


def test_hole_term_is_a_mean_over_all_elements(example):
    x0, x_t, v, abar = example
    mask = jnp.zeros((2, 3, 4, 4)).at[:, :, :2].set(1)  # half the cells
    loss = inpainting_loss(x_t, v + 0.5, x0, mask, abar)
    np.testing.assert_allclose(loss.hole_B, 0.125, rtol=1e-5)
    np.testing.assert_allclose(loss.total(2.0), 0.25 + 2 * 0.125, rtol=1e-5)
