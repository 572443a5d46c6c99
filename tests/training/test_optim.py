"""Learning rate and optimizers, against their formulas."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.training.optim import NAMES, OptimConfig, learning_rate, make_optimizer


def test_rate_warms_up_then_follows_a_cosine_to_its_end():
    rate = learning_rate(OptimConfig(lr=2.0, end_lr=0.5, warmup=10), 110)
    want = [2.0 * i / 10 for i in range(10)]
    want += [0.5 + 1.5 * (1 + math.cos(math.pi * i / 100)) / 2 for i in range(101)]
    np.testing.assert_allclose([float(rate(i)) for i in range(111)], want, rtol=1e-5, atol=1e-6)
    assert float(learning_rate(OptimConfig(lr=2.0, warmup=0), 10)(0)) == 2.0


def test_stretched_cosine_ends_where_the_reference_ends():
    """One eighth of the cosine: 0.962 of the peak (training arguments of the reference)."""
    rate = learning_rate(OptimConfig(cosine_stretch=8.0), 489_000)
    assert abs(float(rate(489_000)) / 1e-5 - 0.962) < 5e-4


def test_first_update_is_adamw_by_hand():
    """Clipping scales the gradient before its moments; decay is the rate's share of the weight."""
    cfg = OptimConfig(lr=0.1, warmup=0, clip=1.0, weight_decay=0.5)
    params, grads = {"kernel": jnp.array([1.0, -3.0])}, {"kernel": jnp.array([30.0, 40.0])}
    optimizer = make_optimizer(cfg, 10)
    updates, state = optimizer.update(grads, optimizer.init(params), params)
    clipped = np.array([0.6, 0.8])
    adam = clipped / (np.sqrt(clipped**2) + 1e-8)
    np.testing.assert_allclose(updates["kernel"], -0.1 * (adam + 0.5 * np.array([1.0, -3.0])), rtol=1e-5)
    moments = [leaf for leaf in jax.tree.leaves(state) if leaf.shape == (2,)]
    np.testing.assert_allclose(sorted(float(m[0]) for m in moments), [0.05 * 0.36, 0.1 * 0.6], rtol=1e-5)


@pytest.mark.parametrize("name, bytes_per_weight", list(zip(NAMES, (8, 6, 2.1))))
def test_state_size_and_descent(name, bytes_per_weight):
    target = jax.random.normal(jax.random.key(0), (256, 256))
    optimizer = make_optimizer(OptimConfig(name=name, lr=0.05, warmup=0, weight_decay=0.0), 60)
    params = {"kernel": jnp.zeros((256, 256))}
    state = optimizer.init(params)
    assert trees.size_bytes(state) <= bytes_per_weight * 256**2 + 64

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update({"kernel": params["kernel"] - target}, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(60):
        params, state = step(params, state)
    assert jnp.square(params["kernel"] - target).mean() < 0.25 * jnp.square(target).mean()


@pytest.mark.parametrize(
    "bad, message",
    [
        ({"name": "sgd"}, "optimizer 'sgd'"),
        ({"lr": 0.0}, "lr 0.0"),
        ({"clip": 0.0}, "clip 0.0"),
        ({"end_lr": 1.0}, "end_lr 1.0"),
    ],
)
def test_impossible_settings_are_named(bad, message):
    with pytest.raises(UserError, match=message):
        OptimConfig(**bad)
