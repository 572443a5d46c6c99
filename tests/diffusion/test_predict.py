"""What a velocity says: the three values that it binds together, at each example's own noise level."""

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.diffusion import predict


def test_prediction_types_agree():
    x0, noise = jax.random.normal(jax.random.key(0), (2, 3, 4)), jax.random.normal(jax.random.key(1), (2, 3, 4))
    abar = jnp.array([0.3, 0.9])
    x_t, v = predict.add_noise(x0, noise, abar), predict.velocity(x0, noise, abar)
    np.testing.assert_allclose(predict.x0_from_velocity(x_t, v, abar), x0, atol=1e-6)


def test_each_example_has_its_own_level():
    x0, noise = np.full((3, 2, 2), 2.0, np.float32), np.full((3, 2, 2), -1.0, np.float32)
    abar = jnp.array([1.0, 0.0, 0.64])
    x_t, v = predict.add_noise(x0, noise, abar), predict.velocity(x0, noise, abar)
    np.testing.assert_allclose(x_t[:, 0, 0], [2, -1, 0.8 * 2 - 0.6], rtol=1e-6)
    np.testing.assert_allclose(v[:, 0, 0], [-1, -2, -0.8 - 0.6 * 2], rtol=1e-6)


def test_the_noise_follows_too():
    x0, noise = jax.random.normal(jax.random.key(0), (2, 3)), jax.random.normal(jax.random.key(1), (2, 3))
    abar = jnp.array([0.2, 0.7])
    x_t, v = predict.add_noise(x0, noise, abar), predict.velocity(x0, noise, abar)
    a, s = np.sqrt(abar)[:, None], np.sqrt(1 - abar)[:, None]
    np.testing.assert_allclose(a * v + s * x_t, noise, atol=1e-6)


def test_a_network_predicts_the_velocity_or_the_clean_values():
    x0, noise = jax.random.normal(jax.random.key(0), (2, 3, 4)), jax.random.normal(jax.random.key(1), (2, 3, 4))
    abar = jnp.array([0.0, 0.9])
    x_t, v = predict.add_noise(x0, noise, abar), predict.velocity(x0, noise, abar)
    np.testing.assert_allclose(predict.as_velocity(x0, x_t, abar, "sample"), v, atol=2e-6)
    assert predict.as_velocity(v, x_t, abar, "v_prediction") is v
