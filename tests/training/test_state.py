"""The training state: float32 masters, an average that is a copy, and where everything lives."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vp_jax import sharding
from vp_jax.training.state import init_state, state_shardings

PARAMS = {"blocks": {"attn": {"to_q": {"kernel": jnp.ones((2, 16, 8), jnp.bfloat16), "bias": jnp.zeros((2, 8))}}}}
OPTIMIZER = optax.scale_by_adam()


def test_masters_are_float32_and_no_step_is_done():
    state = init_state(PARAMS, OPTIMIZER)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}
    assert state.step.dtype == jnp.int32 and int(state.step) == 0 and state.ema is None


def test_the_average_starts_as_a_copy_of_the_weights():
    state = init_state(PARAMS, OPTIMIZER, ema=True)
    jax.tree.map(np.testing.assert_array_equal, state.ema, state.params)
    pointers = [{leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(tree)} for tree in (state.ema, state.params)]
    assert not pointers[0] & pointers[1], "a buffer can be donated once"


@pytest.mark.parametrize("offload", [False, True])
def test_the_optimizer_state_alone_waits_on_the_host(offload):
    shapes = jax.eval_shape(lambda p: init_state(p, OPTIMIZER, ema=True), PARAMS)
    mesh = sharding.make_mesh({"fsdp": 2}, jax.devices()[:2])
    places = state_shardings(shapes, mesh, offload=offload)
    kinds = [{leaf.memory_kind for leaf in jax.tree.leaves(tree)} for tree in (places.opt_state, places.params)]
    assert (kinds[0] == {"pinned_host"}) == offload and "pinned_host" not in kinds[1]
    specs = [tree["blocks"]["attn"]["to_q"]["kernel"].spec for tree in (places.params, places.ema)]
    assert specs[0] == specs[1] == places.opt_state.mu["blocks"]["attn"]["to_q"]["kernel"].spec
    assert any("fsdp" in (entry if isinstance(entry, tuple) else (entry,)) for entry in specs[0])
