"""The training step: reference losses and gradients through it, accumulation, nothing for frozen weights."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.compare import relative_error
from tests.parity import reference as ref
from vp_jax import trees
from vp_jax.convert import branch as branch_table
from vp_jax.convert import engine
from vp_jax.convert import lora as lora_table
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.training.encode import Encoded
from vp_jax.training.stages.branch import BranchStage
from vp_jax.training.stages.denoising import Draws, random_draws
from vp_jax.training.stages.id_adapter import AdapterStage
from vp_jax.training.state import init_state
from vp_jax.training.step import StepConfig, gradients, make_train_step, step_keys

KEEP_GRADIENTS = optax.trace(decay=0.0)
"""An "optimizer" whose state is the last gradient."""


@pytest.fixture(scope="module")
def batch(golden):
    forward, train = ref.arrays(golden / "forward_i2v.npz"), ref.arrays(golden / "train_loss.npz")
    return Encoded(
        latents_BThwC=ref.channels_last(train["x0"]),
        masked_latents_BThwC=ref.channels_last(forward["masked_video_latents"]),
        image_latents_BThwC=ref.channels_last(forward["image_latents"]),
        mask_BThw=ref.channels_last(forward["mask"])[..., 0],
        text_BME=jnp.asarray(forward["text_embeds"]),
    )


@pytest.fixture(scope="module")
def draws(golden):
    train, t = ref.arrays(golden / "train_loss.npz"), ref.arrays(golden / "forward_i2v.npz")["timesteps"]
    return Draws(jnp.asarray(t, jnp.int32), ref.channels_last(train["noise"]))


@pytest.fixture(scope="module")
def branch_stage(golden):
    (cfg, _, backbone), (branch_cfg, _, branch) = ref.backbone(golden), ref.branch(golden)
    stage = BranchStage(cfg, branch_cfg)
    return stage, stage.start({"backbone": backbone, "branch": branch}, jax.random.key(0))


@pytest.fixture(scope="module")
def adapter_stage(golden):
    (cfg, _, backbone), (branch_cfg, _, branch) = ref.backbone(golden), ref.branch(golden)
    extra = ref.arrays(golden / "forward_id.npz")
    lora_cfg, adapter = ref.id_adapter(golden, float(extra["lora_alpha"]) / float(extra["lora_rank"]))
    stage = AdapterStage(cfg, branch_cfg, lora_cfg)
    return stage, stage.start({"backbone": backbone, "branch": branch, "id_adapter": adapter}, jax.random.key(0))


def run(stage, weights, batch, draws, optimizer=KEEP_GRADIENTS, **choices):
    step = jax.jit(make_train_step(stage, optimizer, StepConfig(**choices), Schedule()))
    return step(init_state(weights.trainable, optimizer), weights.frozen, batch, jax.random.key(0), draws)


def check_losses(metrics, train, prefix):
    for got, name in [("loss_whole", "loss"), ("loss_hole", "inpainting_loss"), ("loss", "total")]:
        want = float(train[prefix + name])
        assert abs(float(metrics[got]) - want) <= 1e-5 * abs(want), name


def check_gradients(got, want):
    """Every gradient of the reference; what it has none for (hints that reach no layer) is zero."""
    known = {name for name, value in want.items() if np.any(value)}
    assert set(want) <= set(got) and not any(np.any(got[name]) for name in set(got) - known)
    errors = {name: relative_error(got[name], want[name]) for name in known}
    assert all(error <= 1e-4 for error in errors.values()), errors


@pytest.mark.slow
@pytest.mark.parametrize("apart", [False, True], ids=["together", "one_by_one"])
def test_branch_stage_gives_the_reference_losses_and_gradients(golden, branch_stage, batch, draws, apart):
    state, metrics = run(*branch_stage, batch, draws, accumulate=len(batch.text_BME) if apart else 1)
    check_losses(metrics, ref.arrays(golden / "train_loss.npz"), "")
    want = ref.tensors(golden / "branch_grads.safetensors")
    grads = {**state.opt_state.trace}
    positions = branch_stage[1].frozen["branch"]["patch_embed"]["pos_embedding"]
    grads["patch_embed"] = {**grads["patch_embed"], "pos_embedding": jnp.zeros_like(positions)}
    got = engine.to_torch(
        grads,
        branch_table.RULES,
        {k: v.shape for k, v in want.items()} | {"patch_embed.pos_embedding": (1, *positions.shape)},
    )
    got.pop("patch_embed.pos_embedding")
    check_gradients(got, want)


@pytest.mark.slow
def test_adapter_stage_gives_the_reference_losses_and_gradients(golden, adapter_stage, batch, draws):
    state, metrics = run(*adapter_stage, batch, draws)
    check_losses(metrics, ref.arrays(golden / "train_loss.npz"), "id_")
    got = lora_table.lora_to_torch(adapter_stage[0].lora, state.opt_state.trace)
    check_gradients(
        {k.removeprefix("transformer."): v for k, v in got.items()}, ref.tensors(golden / "id_lora_grads.safetensors")
    )


def test_trainable_and_frozen_have_the_announced_shapes(branch_stage, adapter_stage):
    for stage, weights in (branch_stage, adapter_stage):
        chex.assert_trees_all_equal_shapes_and_dtypes(stage.shapes(), weights)
        assert "pos_embedding" not in str(list(trees.flatten(weights.trainable)))


@pytest.mark.slow
def test_a_fresh_branch_and_a_fresh_adapter_change_nothing(branch_stage, adapter_stage, batch, draws):
    """Both losses are the frozen model's: zero hints, and extra keys without a low-rank change."""

    def loss(stage, weights):
        return jax.jit(lambda w: stage.loss(*w, batch, draws, Schedule()).whole_B)(weights)

    stage, weights = branch_stage
    fresh = stage.start({"backbone": weights.frozen["backbone"]}, jax.random.key(1))
    off = dataclasses.replace(stage, injection=dataclasses.replace(stage.injection, scale=0.0))
    np.testing.assert_allclose(loss(stage, fresh), loss(off, weights), rtol=1e-6)
    assert not np.allclose(loss(stage, fresh), loss(stage, weights))
    stage, weights = adapter_stage
    fresh = stage.start(weights.frozen, jax.random.key(1))
    off = dataclasses.replace(stage, lora=dataclasses.replace(stage.lora, scale=0.0))
    np.testing.assert_allclose(loss(stage, fresh), loss(off, weights), rtol=1e-6)


@pytest.mark.slow
def test_accumulation_is_the_big_batch(branch_stage, batch):
    """Four parts of a batch give the gradients, losses and timestep bins of the whole, noise included."""
    stage, weights = branch_stage
    many = jax.tree.map(lambda a: jnp.concatenate([a] * 4), batch)
    whole, parts = (run(stage, weights, many, None, accumulate=n) for n in (1, 4))
    for got, want in zip(jax.tree.leaves(parts[0].params), jax.tree.leaves(whole[0].params)):
        assert relative_error(got, want) <= 1e-6
    for name in whole[1]:
        np.testing.assert_allclose(parts[1][name], whole[1][name], rtol=1e-5, err_msg=name)
    rows = len(many.text_BME)
    assert whole[1]["bin_count"].sum() == rows
    np.testing.assert_allclose(whole[1]["bin_loss"].sum() / rows, whole[1]["loss"], rtol=1e-6)


def test_draws_are_a_function_of_the_step_alone():
    key, shape = jax.random.key(3), (64, 1, 2, 2, 4)
    first, again, other = (random_draws(step_keys(key, i), shape, 1000) for i in (5, 5, 6))
    chex.assert_trees_all_equal(first, again)
    assert not np.array_equal(first.t_B, other.t_B) and not np.array_equal(first.noise_BThwC, other.noise_BThwC)
    assert len(set(np.asarray(first.t_B).tolist())) > 32 and 0 <= first.t_B.min() and first.t_B.max() < 1000


@pytest.mark.slow
def test_frozen_weights_cost_no_gradient_and_no_optimizer_state(branch_stage, adapter_stage, batch):
    """Bytes of the compiled program: it gives back the state and the metrics, nothing of the frozen size."""
    for stage, weights in (branch_stage, adapter_stage):
        optimizer = optax.adamw(1e-3)
        state = init_state(weights.trainable, optimizer)
        assert trees.size_bytes(state.opt_state) < 2.01 * trees.size_bytes(state.params) + 100
        step = jax.jit(make_train_step(stage, optimizer, StepConfig(), Schedule()))
        lowered = step.lower(state, weights.frozen, batch, jax.random.key(0))
        new_state, metrics = jax.eval_shape(step, state, weights.frozen, batch, jax.random.key(0))
        chex.assert_trees_all_equal_shapes_and_dtypes(new_state, jax.eval_shape(lambda s: s, state))
        memory = lowered.compile().memory_analysis()
        outputs = trees.size_bytes(new_state) + trees.size_bytes(metrics)
        assert outputs <= memory.output_size_in_bytes <= outputs + 4096
        inputs = trees.size_bytes((state, weights.frozen, batch))
        assert inputs * 0.9 <= memory.argument_size_in_bytes <= inputs + 4096


@pytest.mark.slow
def test_bfloat16_compute_keeps_float32_masters(branch_stage, batch, draws):
    stage, weights = branch_stage
    types = {"dtype": "bfloat16", "param_dtype": "bfloat16"}
    low = BranchStage(
        dataclasses.replace(stage.backbone, **types),
        dataclasses.replace(stage.branch, dit=dataclasses.replace(stage.branch.dit, **types)),
    )
    optimizer = optax.adamw(1e-3)
    step = jax.jit(make_train_step(low, optimizer, StepConfig(ema_decay=0.5), Schedule()))
    state, metrics = step(
        init_state(weights.trainable, optimizer, ema=True),
        trees.cast(weights.frozen, jnp.bfloat16),
        batch,
        jax.random.key(0),
        draws,
    )
    assert {leaf.dtype for leaf in jax.tree.leaves((state.params, state.ema))} == {jnp.dtype("float32")}
    exact = float(stage.loss(*weights, batch, draws, Schedule()).total().mean())
    assert abs(float(metrics["loss"]) - exact) < 0.05 * exact
    for old, new, mean in zip(*map(jax.tree.leaves, (weights.trainable, state.params, state.ema))):
        np.testing.assert_allclose(mean, (old + new) / 2, atol=1e-6)


@pytest.mark.slow
def test_rematerialisation_changes_no_gradient(branch_stage, batch, draws):
    stage, weights = branch_stage
    branch = dataclasses.replace(stage.branch, dit=dataclasses.replace(stage.branch.dit, remat="dots_saveable"))
    remat = BranchStage(dataclasses.replace(stage.backbone, remat="nothing_saveable"), branch)
    got, want = (
        jax.jit(lambda w, s=s: gradients(s, StepConfig(), Schedule(), *w, batch, draws)[0])(weights)
        for s in (remat, stage)
    )
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
        assert relative_error(a, b) <= 1e-5


@pytest.mark.slow
def test_the_step_is_traced_once(branch_stage, batch):
    stage, weights = branch_stage
    chex.clear_trace_counter()
    optimizer = optax.adamw(1e-3)
    step = jax.jit(chex.assert_max_traces(make_train_step(stage, optimizer, StepConfig(), Schedule()), n=1))
    state = init_state(weights.trainable, optimizer)
    for _ in range(3):
        state, _ = step(state, weights.frozen, batch, jax.random.key(0))
    assert int(state.step) == 3


class Parts(NamedTuple):
    """A loss of two parts."""

    whole_B: jax.Array
    hole_B: jax.Array

    def total(self, hole_weight=1.0):
        return self.whole_B + hole_weight * self.hole_B


@dataclasses.dataclass(frozen=True)
class ScalarStage:
    """One weight w; the parts of the loss of an example x are w x and 10 w x."""

    def draw(self, keys, batch, schedule, shift=1.0):
        return jnp.zeros(len(batch))

    def loss(self, trainable, frozen, batch, draws, schedule):
        SIZES.append(batch.shape)
        return Parts(trainable["w"] * batch, 10 * trainable["w"] * batch)

    def metrics(self, loss_B, draws, schedule):
        return {"examples": jnp.float32(loss_B.size)}


SIZES: list[tuple[int, ...]] = []
"""Shapes of the batches whose loss was computed."""


def scalar_step(*, ema=False, **choices):
    """One step of plain gradient descent at rate 0.1 from w = 2 on the batch (1, 2, 3, 6), whose mean is 3."""
    SIZES.clear()
    optimizer = optax.sgd(0.1)
    step = make_train_step(ScalarStage(), optimizer, StepConfig(**choices), Schedule())
    state = init_state({"w": jnp.float32(2.0)}, optimizer, ema=ema)
    return step(state, {}, jnp.array([1.0, 2.0, 3.0, 6.0]), jax.random.key(0))


def test_the_weight_of_the_hole_is_that_of_loss_and_gradient():
    """Gradient 3 (1 + 10 lambda): every value of the weight gives another."""
    for hole_weight in (0.0, 0.5, 2.0):
        state, metrics = scalar_step(hole_weight=hole_weight)
        gradient = 3.0 * (1 + 10 * hole_weight)
        np.testing.assert_allclose(metrics["loss"], 2.0 * gradient, rtol=1e-6)
        np.testing.assert_allclose(metrics["grad_norm"], gradient, rtol=1e-6)
        np.testing.assert_allclose(state.params["w"], 2.0 - 0.1 * gradient, rtol=1e-6)
        assert (float(metrics["loss_whole"]), float(metrics["loss_hole"])) == (6.0, 60.0), "parts are not weighted"


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_a_batch_is_cut_into_as_many_parts_as_asked(accumulate):
    state, metrics = scalar_step(accumulate=accumulate)
    assert set(SIZES) == {(4 // accumulate,)}, "one part in memory at a time"
    np.testing.assert_allclose(state.params["w"], 2.0 - 0.1 * 33.0, rtol=1e-6)
    assert float(metrics["examples"]) == 4


@pytest.mark.parametrize("decay", [0.9999, 0.9, 0.25, 0.0])
def test_the_average_keeps_the_share_of_its_decay(decay):
    """0.9999 of the old and 0.0001 of the new: the other way round it would be the raw weights."""
    state, _ = scalar_step(ema=True, ema_decay=decay)
    new = float(state.params["w"])
    np.testing.assert_allclose(state.ema["w"], decay * 2.0 + (1 - decay) * new, rtol=1e-6)
    assert abs(new - 2.0) > 1


def test_without_an_average_there_is_none():
    assert scalar_step(ema=False)[0].ema is None


@pytest.mark.parametrize(
    "bad, message",
    [
        ({"accumulate": 0}, "accumulate 0"),
        ({"draws": 0}, "draws 0"),
        ({"hole_weight": -1.0}, "hole_weight -1"),
        ({"ema_decay": 1.0}, "ema_decay 1.0: expected 0 or more, below 1"),
    ],
)
def test_impossible_settings_are_named(bad, message):
    with pytest.raises(UserError, match=message):
        StepConfig(**bad)


def test_a_batch_that_cannot_be_cut_is_refused():
    with pytest.raises(UserError, match="a batch of 4 cannot be cut into 3 parts"):
        scalar_step(accumulate=3)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_that_is_not_finite_changes_nothing_but_its_number(accumulate):
    optimizer = optax.adam(0.1)
    step = jax.jit(make_train_step(ScalarStage(), optimizer, StepConfig(accumulate=accumulate), Schedule()))
    state, _ = step(init_state({"w": jnp.float32(2.0)}, optimizer, ema=True), {}, jnp.ones(4), jax.random.key(0))
    after, metrics = step(state, {}, jnp.array([1.0, np.nan, 3.0, 6.0]), jax.random.key(0))
    assert (int(state.step), int(after.step)) == (1, 2)
    chex.assert_trees_all_equal((after.params, after.opt_state, after.ema), (state.params, state.opt_state, state.ema))
    np.testing.assert_allclose(metrics["loss_by_example"], [22.0 - 1.1, np.nan, 62.7, 125.4], rtol=1e-2)
    assert np.isnan(metrics["loss"]) and np.isnan(metrics["grad_norm"])
