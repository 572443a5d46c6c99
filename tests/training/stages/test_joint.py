"""Backbone, text encoder and context encoder in one run: how they start, what they see, what they learn and export."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import trees
from vp_jax.data.batches import LatentBatch
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.models.config import BranchConfig
from vp_jax.models.folder import abstract_model
from vp_jax.models.variants import variant
from vp_jax.runs.starting_weights import random_models
from vp_jax.training.encode import Encoders
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry
from vp_jax.training.stages.joint import JointStage
from vp_jax.training.step import step_keys

T5 = dataclasses.replace(variant("nano").t5, num_layers=1, dim=24, ff_dim=24, head_dim=8, num_heads=2)


@pytest.fixture(scope="module")
def stage():
    backbone = dataclasses.replace(variant("tiny").backbone, num_layers=2)
    branch = BranchConfig(dataclasses.replace(backbone, num_layers=1, in_channels=33))
    return JointStage(backbone, branch, T5, hint_dropout=0.5)


@pytest.fixture(scope="module")
def weights(stage):
    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), stage.shapes().trainable["t5"]
    )
    return stage.start(random_models({"t5": like}), jax.random.key(0))


@pytest.fixture(scope="module")
def loaded():
    rng = np.random.default_rng(0)
    video, masked, image = (jnp.asarray(rng.standard_normal((8, 3, 8, 12, 16)), jnp.float32) for _ in range(3))
    mask = jnp.zeros((8, 3, 8, 12)).at[:, 1:, 2:6, 2:6].set(1.0)
    ids = jnp.asarray(rng.integers(3, 400, (8, 6)), jnp.int32)
    return LatentBatch(
        latents_BThwC=video,
        image_latents_BThwC=image,
        masked_latents_BThwC=masked,
        mask_BThw=mask,
        input_ids_BM=ids,
    )


def batch_of(stage, loaded):
    return stage.inputs(Encoders(None, None, 24), {}, loaded, jax.random.key(3))


def test_it_starts_as_a_backbone_and_a_copy_of_its_first_block(stage, weights):
    assert jax.tree.map(jnp.shape, weights) == jax.tree.map(jnp.shape, stage.shapes())
    blocks = trees.flatten(weights.trainable["branch"]["blocks"])
    for path, leaf in trees.flatten(weights.trainable["backbone"]["blocks"]).items():
        np.testing.assert_array_equal(blocks[path], leaf[:1])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(weights.trainable["branch"]["zero"])), "hints start at zero"


def test_some_examples_have_no_hints_and_validation_has_all(stage, loaded):
    batch = batch_of(stage, loaded)
    hidden = (np.asarray(batch.hidden_BThw) == 1).all(axis=(1, 2, 3))
    assert 0 < hidden.sum() < 8
    np.testing.assert_array_equal(batch.hidden_BThw[~hidden], batch.mask_BThw[~hidden])
    np.testing.assert_array_equal(stage.hole(batch), loaded.mask_BThw)
    complete = batch_of(stage.whole_clips(), loaded)
    np.testing.assert_array_equal(complete.hidden_BThw, loaded.mask_BThw)


@pytest.mark.slow
def test_all_three_models_learn_and_an_example_without_hints_sees_no_condition(stage, weights, loaded):
    """Gradients by every weight and by the condition, where no weight is zero as at the start."""
    keys = iter(jax.random.split(jax.random.key(5), 500))
    shaken = jax.tree.map(lambda leaf: leaf + 0.02 * jax.random.normal(next(keys), leaf.shape), weights.trainable)
    batch = batch_of(stage, loaded)
    draws = stage.draw(step_keys(jax.random.key(1), 0), batch, Schedule())

    def loss(trainable, masked_BThwC):
        given = batch._replace(masked_latents_BThwC=masked_BThwC)
        return stage.loss(trainable, weights.frozen, given, draws, Schedule()).total(4.0).mean()

    by_weights, by_condition = jax.jit(jax.grad(loss, (0, 1)))(shaken, batch.masked_latents_BThwC)
    still = [
        path for path, leaf in trees.flatten(by_weights).items() if not np.any(leaf) or not np.isfinite(leaf).all()
    ]
    assert not still
    hidden_B = (np.asarray(batch.hidden_BThw) == 1).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(np.any(by_condition, axis=(1, 2, 3, 4)), ~hidden_B)


def test_it_exports_models_that_a_checkpoint_folder_holds(stage, weights):
    exported = stage.exports(*weights)
    assert set(exported) == {"transformer", "branch", "text_encoder"}
    for description, tree in exported.values():
        assert jax.tree.map(jnp.shape, tree) == jax.tree.map(lambda leaf: leaf.shape, abstract_model(description)[1])


def test_a_run_describes_all_its_models_or_is_refused(tmp_path):
    made = registry.training_models(ModelConfig(stage="joint", name="nano", tokenizer="some.model", hint_dropout=0.2))
    assert isinstance(made.stage, JointStage) and made.stage.hint_dropout == 0.2 and made.encoders.t5 is None
    assert made.stage.branch.dit.in_channels == 65 and made.stage.branch.dit.num_layers == 2
    with pytest.raises(UserError, match="branch_layers 9: expected at most 6"):
        registry.training_models(ModelConfig(stage="joint", name="nano", tokenizer="some.model", branch_layers=9))
    with pytest.raises(UserError, match="no text encoder"):
        registry.training_models(ModelConfig(stage="joint", name="tiny"))
    with pytest.raises(UserError, match="hint_dropout"):
        ModelConfig(hint_dropout=1.5)
    origins = made.stage.origins(None, tmp_path)
    assert set(origins) == {"backbone", "branch", "t5"} and origins["branch"].folder == tmp_path / "branch"
