"""The single-branch ablation: it starts as the backbone it is made of, learns from the condition, and is sampled."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.inference.models import Models
from vp_jax.models.branch import Branch
from vp_jax.models.config import BranchConfig, Injection, from_json, to_json
from vp_jax.models.dit import DiT
from vp_jax.models.folder import abstract_model
from vp_jax.models.inpaint import Condition, predict
from vp_jax.models.variants import variant
from vp_jax.training.encode import Encoded
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry
from vp_jax.training.stages.single_branch import SingleBranchStage, widened

TINY = variant("tiny")


@pytest.fixture(scope="module")
def batch():
    def draw(number, *shape):
        return jax.random.normal(jax.random.key(number), shape)

    image = draw(2, 2, 3, 8, 12, 16) * (jnp.arange(3) == 0)[None, :, None, None, None]
    return Encoded(
        latents_BThwC=draw(0, 2, 3, 8, 12, 16),
        masked_latents_BThwC=draw(1, 2, 3, 8, 12, 16),
        image_latents_BThwC=image,
        mask_BThw=(draw(3, 2, 3, 8, 12) > 0).astype(jnp.float32),
        text_BME=draw(4, 2, 6, 24),
    )


@pytest.mark.slow
def test_starts_as_the_backbone_and_learns_from_the_condition(batch):
    narrow = trees.split(DiT(TINY.backbone, rngs=nnx.Rngs(0)))[1]
    stage = SingleBranchStage(widened(TINY.backbone))
    assert stage.narrow == TINY.backbone and stage.backbone.in_channels == 49
    weights = stage.start({"backbone": narrow}, jax.random.key(0))
    assert jax.tree.map(jnp.shape, weights) == jax.tree.map(lambda s: s.shape, stage.shapes())
    x, t = batch.latents_BThwC + 0.5, jnp.array([10, 900])
    plain = nnx.merge(abstract_model(TINY.backbone)[0], narrow)(
        jnp.concatenate([x, batch.image_latents_BThwC], axis=-1), batch.text_BME, t
    ).sample
    made = stage.predicted(*weights, x, batch, t)
    assert relative_error(np.asarray(made), np.asarray(plain)) < 1e-5

    gradient = jax.grad(lambda w: jnp.square(stage.predicted(w, weights.frozen, x, batch, t)).mean())(weights.trainable)
    new_rows = gradient["patch_embed"]["proj"]["kernel"][TINY.backbone.patch_values :]
    assert new_rows.shape[0] == 17 * 4 and jnp.abs(new_rows).min(axis=1).max() > 0


@pytest.mark.slow
def test_sampling_hands_it_the_condition(batch):
    cfg = widened(TINY.backbone)
    backbone, branch = DiT(cfg, rngs=nnx.Rngs(0)), Branch(TINY.branch, rngs=nnx.Rngs(1))
    assert Models(cfg, TINY.branch, TINY.vae).takes_image
    stage = SingleBranchStage(cfg)
    weights = stage.start({"backbone": trees.split(DiT(TINY.backbone, rngs=nnx.Rngs(2)))[1]}, jax.random.key(0))
    whole = stage.exports(*weights)["transformer"][1]
    assert jax.tree.map(jnp.shape, whole) == jax.tree.map(jnp.shape, trees.split(backbone)[1])
    condition = Condition.of(batch.masked_latents_BThwC, batch.mask_BThw)
    t, x = jnp.array([10, 900]), batch.latents_BThwC
    made = predict(
        backbone,
        branch,
        x,
        batch.image_latents_BThwC,
        condition,
        batch.text_BME,
        t,
        injection=Injection(scale=0.0),
    ).sample
    latents = jnp.concatenate([x, batch.image_latents_BThwC, condition.channels()], axis=-1)
    direct = backbone(latents, batch.text_BME, t)
    assert relative_error(np.asarray(made), np.asarray(direct.sample)) < 1e-6


def test_a_backbone_stored_without_the_field_still_takes_the_condition():
    for cfg in (widened(TINY.backbone), TINY.backbone, widened(dataclasses.replace(TINY.backbone, in_channels=16))):
        values = to_json(cfg)
        assert values.pop("takes_condition") == cfg.takes_condition
        assert from_json(values) == cfg
    values = to_json(TINY.branch)
    assert not values["dit"].pop("takes_condition") and from_json(values) == TINY.branch


def test_described_by_name_and_loaded():
    cfg = ModelConfig(stage="single_branch", name="tiny", dtype="float32", remat="", branch_remat="")
    stage = registry.training_models(cfg).stage
    assert isinstance(stage, SingleBranchStage) and stage.backbone.in_channels == 49
    with pytest.raises(UserError, match="starts from the checkpoint's backbone"):
        registry.training_models(dataclasses.replace(cfg, init_from="x"))


def test_hints_into_every_token_are_a_setting():
    cfg = ModelConfig(name="tiny", dtype="float32", injection_tokens="all")
    stage = registry.training_models(cfg).stage
    assert stage.injection.tokens == "all" and isinstance(stage.branch, BranchConfig)
    with pytest.raises(UserError, match="injection_tokens 'some': expected one of background, partial, all"):
        ModelConfig(injection_tokens="some")
