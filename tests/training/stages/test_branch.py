"""Stage 1, the context encoder: what it starts from and continues, and how it is sampled and exported."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings
from vp_jax.models import config
from vp_jax.models.config import Injection
from vp_jax.models.folder import abstract_model
from vp_jax.models.variants import variant
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry
from vp_jax.training.stages.branch import BranchStage
from vp_jax.training.stages.weights import random_weights

TINY = variant("tiny")
POSITIONS = "patch_embed/pos_embedding"


@pytest.fixture(scope="module")
def stage():
    return BranchStage(TINY.backbone, TINY.branch)


@pytest.fixture(scope="module")
def backbone():
    return random_weights(TINY.backbone, jax.random.key(1))


@pytest.mark.slow
def test_a_fresh_encoder_is_the_first_blocks_of_the_backbone(stage, backbone):
    weights = stage.start({"backbone": backbone}, jax.random.key(0))
    layers = TINY.branch.dit.num_layers
    jax.tree.map(
        lambda got, want: np.testing.assert_array_equal(got, want[:layers]),
        weights.trainable["blocks"],
        backbone["blocks"],
    )
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(weights.trainable["zero"])), "hints start at zero"
    assert POSITIONS not in trees.flatten(weights.trainable)
    np.testing.assert_array_equal(
        weights.frozen["branch"]["patch_embed"]["pos_embedding"], backbone["patch_embed"]["pos_embedding"]
    )


def test_an_encoder_is_continued_as_it_was_stored(stage, backbone, tmp_path):
    """Its weights are read in float32 whatever the run computes in: a bfloat16 run rounds no master."""
    low = {"dtype": "bfloat16", "param_dtype": "bfloat16"}
    coarse = dataclasses.replace(
        stage, branch=dataclasses.replace(stage.branch, dit=dataclasses.replace(stage.branch.dit, **low))
    )
    origins = coarse.origins(None, tmp_path)
    assert origins["branch"].folder == tmp_path and origins["backbone"].folder is None
    assert {leaf.dtype for leaf in jax.tree.leaves(origins["branch"].shapes)} == {jnp.dtype("float32")}
    trained = random_weights(TINY.branch, jax.random.key(2))
    weights = coarse.start({"backbone": backbone, "branch": trained}, jax.random.key(0))
    whole = coarse.whole(*weights)
    np.testing.assert_array_equal(whole["zero"]["kernel"], trained["zero"]["kernel"])
    assert whole["patch_embed"]["pos_embedding"].dtype == jnp.bfloat16, "frozen, as all that is"


def test_the_export_is_a_complete_context_encoder(stage, backbone):
    weights = stage.start({"backbone": backbone}, jax.random.key(0))
    ((folder, (description, tree)),) = stage.exports(*weights).items()
    assert (folder, description) == ("branch", TINY.branch)
    shapes = trees.flatten(abstract_model(TINY.branch)[1])
    assert {path: leaf.shape for path, leaf in trees.flatten(tree).items()} == {
        path: leaf.shape for path, leaf in shapes.items()
    }


def test_it_is_sampled_with_the_tokens_that_it_is_trained_with(stage):
    cfg = ModelConfig(name="tiny", dtype="float32", remat="dots_saveable")
    models = registry.training_models(cfg)
    partial = dataclasses.replace(models.stage, injection=Injection(tokens="partial"))
    sampler = partial.sampler(models.encoders, Settings(steps=2, window=9), Schedule())
    assert sampler.settings == Settings(steps=2, window=9, injection=Injection(tokens="partial"))
    assert sampler.program.models.backbone_cfg.remat == "", "nothing is differentiated"
    weights = partial.sampling_weights(*partial.shapes())
    assert set(weights) == {"backbone", "branch", "loras"} and weights["loras"] == []
    assert POSITIONS in trees.flatten(weights["branch"])


def test_layers_are_those_of_the_encoder_to_continue_from(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps(
            config.to_json(dataclasses.replace(TINY.branch, dit=dataclasses.replace(TINY.branch.dit, num_layers=1)))
        )
    )
    cfg = ModelConfig(name="tiny", branch_layers=4, init_from=str(tmp_path))
    assert registry.training_models(cfg).stage.branch.dit.num_layers == 1
    with pytest.raises(UserError, match="branch_layers 5: expected at most 4"):
        registry.training_models(ModelConfig(name="tiny", branch_layers=5))
