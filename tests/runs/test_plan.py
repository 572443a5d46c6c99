"""A run as shapes: the state with its places, the programs, the summary; nothing is allocated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import sharding
from vp_jax.errors import UserError
from vp_jax.runs.plan import jitted_encode, make_plan
from vp_jax.training.models import ModelConfig
from vp_jax.training.optim import OptimConfig
from vp_jax.training.step import StepConfig

MODEL = ModelConfig(name="tiny", dtype="float32", remat="", branch_remat="", stage="id_adapter", rank=4, alpha=2.0)
SIZE = (9, 64, 96)


def plan_of(model=MODEL, size=SIZE, sizes=None, count=1, **changes):
    mesh = sharding.make_mesh(sizes or {}, jax.devices()[:count])
    values = {"steps": 10, "ema": False, "mesh": mesh, **changes}
    return make_plan(model, values.pop("optimizer", OptimConfig()), StepConfig(), size, **values)


def test_the_state_is_shapes_with_places():
    plan = plan_of(sizes={"fsdp": 2}, count=2, ema=True)
    leaves = jax.tree.leaves(plan.state)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) and leaf.sharding.mesh == plan.mesh for leaf in leaves)
    assert jax.tree.structure(plan.places) == jax.tree.structure(plan.state)
    assert plan.state.ema is not None and plan_of().state.ema is None


def test_a_run_starts_with_its_weights_in_their_places():
    plan = plan_of(sizes={"fsdp": 2}, count=2, ema=True)
    trainable = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.5), plan.models.stage.shapes().trainable)
    state = plan.start(trainable)
    assert int(state.step) == 0
    for tree in (state.params, state.ema):
        jax.tree.map(np.testing.assert_array_equal, tree, trainable)
    same = jax.tree.map(lambda leaf, like: leaf.sharding == like.sharding, state, plan.state)
    assert all(jax.tree.leaves(same))


def test_offloaded_moments_lie_in_the_memory_of_the_host():
    plan = plan_of(optimizer=OptimConfig(offload=True))
    assert {leaf.sharding.memory_kind for leaf in jax.tree.leaves(plan.state.opt_state)} == {"pinned_host"}
    assert "pinned_host" not in {leaf.sharding.memory_kind for leaf in jax.tree.leaves(plan.state.params)}
    assert "state 0.00 GB per chip" in plan.summary()


def test_the_summary_counts_what_is_trained_and_what_is_frozen():
    line = plan_of().summary()
    # 4 blocks, 4 linears of 32 x 32, A and B of rank 4
    assert line.startswith(f"id_adapter: {4 * 4 * 2 * 32 * 4 / 1e6:.1f} M weights trained, 0.00 GB frozen; mesh {{")
    assert "'fsdp': 1" in line and "cpu" in line


def test_operations_are_those_of_the_stage_on_latents_of_the_clips():
    plan = plan_of()
    assert plan.flops(2, *SIZE) == plan.models.stage.flops(2, 3, 8, 12) > 0


def test_equal_stages_share_one_encoding_program():
    assert plan_of().encode is plan_of().encode
    other = plan_of(model=ModelConfig(name="tiny", stage="id_adapter", dtype="float32", rank=2))
    assert other.encode is not plan_of().encode
    assert jitted_encode(other.models.stage.whole_clips(), other.models.encoders) is other.encode


@pytest.mark.parametrize(
    "size, message", [((10, 64, 96), "frames 10"), ((9, 60, 96), "height 60"), ((9, 64, 90), "width 90")]
)
def test_clips_that_do_not_fit_the_models_are_refused(size, message):
    with pytest.raises(UserError, match=message):
        plan_of(size=size)
