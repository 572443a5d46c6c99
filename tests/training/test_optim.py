"""Learning rate and optimizers, against their formulas."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vp_jax import sharding, trees
from vp_jax.errors import UserError
from vp_jax.training.optim import NAMES, OptimConfig, learning_rate, make_optimizer
from vp_jax.training.state import init_state, state_shardings


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


def test_rate_stays_at_its_peak_until_the_last_share_of_a_run_of_any_length():
    cfg = OptimConfig(lr=2.0, end_lr=0.5, warmup=10, decay=0.25)
    short, long = learning_rate(cfg, 120), learning_rate(cfg, 240)
    want = [2.0 * min(i / 10, 1.0) for i in range(91)]
    want += [0.5 + 1.5 * (1 + math.cos(math.pi * i / 30)) / 2 for i in range(1, 31)]
    np.testing.assert_allclose([float(short(i)) for i in range(121)], want, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal([float(short(i)) for i in range(91)], [float(long(i)) for i in range(91)])


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


@pytest.mark.slow
@pytest.mark.parametrize("name, bytes_per_weight", list(zip(NAMES, (8, 6, 2.1, 4), strict=True)))
def test_state_size_and_descent(name, bytes_per_weight):
    target = {"blocks": {"kernel": jax.random.normal(jax.random.key(0), (1, 256, 256))}}
    # a step of Muon changes a weight by a fifth of the rate, in the root mean square
    rate = 0.25 if name == "muon" else 0.05
    optimizer = make_optimizer(OptimConfig(name=name, lr=rate, warmup=0, weight_decay=0.0), 60)
    params = jax.tree.map(jnp.zeros_like, target)
    state = optimizer.init(params)
    assert trees.size_bytes(state) <= bytes_per_weight * 256**2 + 64

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(jax.tree.map(jnp.subtract, params, target), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(60):
        params, state = step(params, state)
    rest = jax.tree.map(lambda got, want: jnp.square(got - want).mean() / jnp.square(want).mean(), params, target)
    assert rest["blocks"]["kernel"] < 0.25


def test_muon_makes_the_updates_of_matrices_in_blocks_orthogonal_and_no_others():
    """All singular values become equal, but for the spread of Newton and Schulz (0.5 to 1.5); each block by itself."""
    keys = jax.random.split(jax.random.key(1), 3)
    grads = {
        "blocks": {"up": {"kernel": jax.random.normal(keys[0], (2, 8, 32)), "bias": jnp.full((2, 32), 3.0)}},
        "proj_out": {"kernel": jax.random.normal(keys[1], (8, 16))},
    }
    # the second block has one direction only and keeps it
    only = jnp.outer(jnp.arange(1.0, 9.0), jnp.ones(32))
    grads["blocks"]["up"]["kernel"] = grads["blocks"]["up"]["kernel"].at[1].set(only)
    cfg = OptimConfig(name="muon", lr=0.1, warmup=0, weight_decay=0.0, clip=1e9)
    optimizer = make_optimizer(cfg, 10)
    updates, state = optimizer.update(grads, optimizer.init(grads), jax.tree.map(jnp.zeros_like, grads))
    first, second = np.linalg.svd(updates["blocks"]["up"]["kernel"], compute_uv=False) / (0.1 * 0.2 * math.sqrt(32))
    assert 0.5 < first.min() and first.max() < 1.5
    assert 0.5 < second[0] < 1.5 and second[1] < 1e-3
    # AdamW's first step with Nesterov's momentum: of one length, whatever the gradient (b1 is 0.9)
    length = 0.1 * (1 + 0.9 / (1 + 0.9))
    np.testing.assert_allclose(updates["proj_out"]["kernel"], -length * np.sign(grads["proj_out"]["kernel"]), rtol=1e-4)
    np.testing.assert_allclose(updates["blocks"]["up"]["bias"], -length * np.ones((2, 32)), rtol=1e-4)


def test_the_state_of_every_optimizer_has_a_place_on_a_mesh():
    params = {"blocks": {"attn": {"to_q": {"kernel": jnp.zeros((2, 8, 8)), "bias": jnp.zeros((2, 8))}}}}
    mesh = sharding.make_mesh({"fsdp": -1})
    for name in NAMES:
        optimizer = make_optimizer(OptimConfig(name=name), 10)
        shapes = jax.eval_shape(functools.partial(init_state, optimizer=optimizer), params)
        placement = state_shardings(shapes, mesh)
        assert jax.tree.structure(placement.opt_state) == jax.tree.structure(shapes.opt_state)


def update_of(gradient, params=0.0, **changes):
    """First update of one weight, and the moments after it; no warm-up, no decay, no clipping but where asked."""
    cfg = OptimConfig(**{"lr": 1.0, "warmup": 0, "weight_decay": 0.0, "clip": 1e9, "eps": 1e-12, **changes})
    weights, optimizer = {"kernel": jnp.full((4,), params)}, make_optimizer(cfg, 100)
    grads = {"kernel": jnp.full((4,), gradient)}
    updates, state = optimizer.update(grads, optimizer.init(weights), weights)
    moments = [float(leaf[0]) for leaf in jax.tree.leaves(state) if leaf.shape == (4,)]
    return float(updates["kernel"][0]), moments


def rate_at(step, **changes):
    return float(learning_rate(OptimConfig(**{"lr": 2.0, "warmup": 10, **changes}), 110)(step))


def first_moment(name):
    state = make_optimizer(OptimConfig(name=name), 10).init({"kernel": jnp.zeros((4, 4))})
    return {str(leaf.dtype) for leaf in jax.tree.leaves(state) if leaf.ndim == 2}


def memory_of_moments(offload):
    shapes = jax.eval_shape(
        lambda p: init_state(p, make_optimizer(OptimConfig(), 10)), {"norm": {"bias": jnp.zeros((4,))}}
    )
    mesh = sharding.make_mesh({}, jax.devices()[:1])
    places = state_shardings(shapes, mesh, offload=OptimConfig(offload=offload).offload)
    return {place.memory_kind for place in jax.tree.leaves(places.opt_state)}


EFFECTS = {
    # what is measured, and what it has to be: none of these values is the default
    "name": lambda: (first_moment("adamw_bf16"), {"bfloat16", "float32"}),
    "lr": lambda: (update_of(3.0, lr=0.25)[0], -0.25),
    "end_lr": lambda: (rate_at(110, end_lr=0.5), 0.5),
    "warmup": lambda: (rate_at(5, warmup=20), 2.0 * 5 / 20),
    "cosine_stretch": lambda: (
        rate_at(110, cosine_stretch=4.0),
        2.0 * (1 + math.cos(math.pi * (110 - 10) / (440 - 10))) / 2,
    ),
    "decay": lambda: (rate_at(100, decay=0.5), 2.0 * (1 + math.cos(math.pi * (100 - 55) / 55)) / 2),
    "b1": lambda: (update_of(3.0, b1=0.75)[1][0], 0.25 * 3.0),
    "b2": lambda: (update_of(3.0, b2=0.75)[1][1], 0.25 * 9.0),
    "eps": lambda: (update_of(3.0, eps=1.5)[0], -3.0 / (3.0 + 1.5)),
    "weight_decay": lambda: (update_of(3.0, params=2.0, weight_decay=0.25)[0], -(1.0 + 0.25 * 2.0)),
    # four equal gradients of norm 2 x 3
    "clip": lambda: (update_of(3.0, clip=1.5)[1][0], 0.1 * 3.0 * 1.5 / 6.0),
    "offload": lambda: (memory_of_moments(True), {"pinned_host"}),
}


def test_every_setting_has_a_test_of_its_effect():
    assert set(EFFECTS) == {field.name for field in dataclasses.fields(OptimConfig)}


@pytest.mark.parametrize("name", EFFECTS)
def test_a_setting_does_what_it_says(name):
    got, want = EFFECTS[name]()
    assert got == (pytest.approx(want, rel=1e-4) if isinstance(want, float) else want)


def test_moments_stay_on_the_device_unless_they_are_offloaded():
    assert "pinned_host" not in memory_of_moments(False)


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
