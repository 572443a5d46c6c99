"""Weights a run starts from: continued before converted before random, in the types and places of the run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import DEFAULT
from tests.parity import reference as ref
from vp_jax import checkpoint, sharding, trees
from vp_jax.errors import UserError
from vp_jax.models import config, folder
from vp_jax.models.folder import abstract_model
from vp_jax.models.variants import variant
from vp_jax.runs.starting_weights import random_models, starting_weights
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry

TINY = ModelConfig(name="tiny", dtype="float32", remat="", branch_remat="", rank=2, alpha=2.0)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A converted checkpoint made of the reference's tiny models."""
    root = tmp_path_factory.mktemp("converted")
    for part, (cfg, _, params) in {
        folder.BACKBONE: ref.backbone(DEFAULT),
        folder.BRANCH: ref.branch(DEFAULT),
        folder.AUTOENCODER: ref.vae(DEFAULT),
    }.items():
        checkpoint.save_params(root / part.folder, params, config.to_json(cfg))
    return root


def start(cfg, sizes=None, count=1):
    models = registry.training_models(cfg)
    mesh = sharding.make_mesh(sizes or {}, jax.devices()[:count])
    return models, starting_weights(cfg, models, mesh, jax.random.key(0))


def assert_same(got, want):
    jax.tree.map(np.testing.assert_array_equal, got, want)


@pytest.mark.slow
def test_frozen_models_and_encoders_are_those_of_the_checkpoint(converted):
    cfg = dataclasses.replace(TINY, stage="id_adapter", checkpoint=str(converted))
    _, (weights, encoders) = start(cfg)
    assert_same(weights.frozen["backbone"], ref.backbone(DEFAULT)[2])
    assert_same(weights.frozen["branch"], ref.branch(DEFAULT)[2])
    assert set(encoders) == {"vae"}
    assert_same(encoders["vae"], ref.vae(DEFAULT)[2])


@pytest.mark.slow
def test_a_trained_encoder_comes_before_the_blocks_of_the_backbone(converted):
    cfg = dataclasses.replace(TINY, checkpoint=str(converted), init_from=str(converted / "branch"))
    models, (weights, _) = start(cfg)
    assert_same(models.stage.whole(*weights), ref.branch(DEFAULT)[2])
    _, (fresh, _) = start(dataclasses.replace(cfg, init_from=""))
    blocks = trees.flatten(ref.backbone(DEFAULT)[2])["blocks/attn/to_q/kernel"]
    np.testing.assert_array_equal(fresh.trainable["blocks"]["attn"]["to_q"]["kernel"], blocks[:2])


def test_without_a_checkpoint_everything_is_random_and_the_same_every_time():
    _, (first, encoders) = start(TINY)
    _, (second, again) = start(TINY)
    assert_same((first, encoders), (second, again))
    assert np.any(encoders["vae"]["encoder"]["conv_in"]["kernel"])


@pytest.mark.slow
def test_weights_have_the_types_and_places_of_the_run():
    cfg = dataclasses.replace(TINY, dtype="bfloat16", stage="id_adapter")
    _, (weights, encoders) = start(cfg, {"fsdp": 2}, 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights.trainable)} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves((weights.frozen, encoders))} == {jnp.dtype("bfloat16")}
    kernel = weights.frozen["backbone"]["blocks"]["attn"]["to_q"]["kernel"]
    assert kernel.addressable_shards[0].data.size * 2 == kernel.size, "divided over two devices"
    assert weights.trainable["blocks"]["attn"]["to_q"]["lora_a"].sharding.mesh.shape["fsdp"] == 2


def test_a_checkpoint_without_a_needed_part_is_refused(converted, tmp_path):
    for name in ("transformer", "vae"):
        (tmp_path / name).symlink_to(converted / name)
    with pytest.raises(UserError, match="branch"):
        start(dataclasses.replace(TINY, stage="id_adapter", checkpoint=str(tmp_path)))


def test_random_matrices_have_variance_one_over_inputs():
    like = sharding.placed({"vae": abstract_model(variant("tiny").vae)[1]}, sharding.make_mesh({}, jax.devices()[:1]))
    flat = trees.flatten(random_models(like)["vae"])
    for path, leaf in flat.items():
        values = np.asarray(leaf)
        if path.endswith("scale"):
            assert (values == 1).all()
        elif path.endswith("bias"):
            assert (values == 0).all()
        elif values.size > 2000:
            assert values.std() == pytest.approx(np.prod(values.shape[:-1]) ** -0.5, rel=0.1), path
