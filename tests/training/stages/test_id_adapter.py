"""Stage 2, the ID adapter: its scale, what it starts from and continues, and how it is sampled and exported."""

import json

import jax
import numpy as np
import pytest

from vp_jax import trees
from vp_jax.models import config
from vp_jax.models.folder import CheckpointFolder
from vp_jax.models.variants import variant
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry
from vp_jax.training.stages.id_adapter import ADAPTED_LINEARS, AdapterStage, adapter_config
from vp_jax.training.stages.weights import random_weights

TINY = variant("tiny")


@pytest.fixture(scope="module")
def stage():
    return AdapterStage(TINY.backbone, TINY.branch, adapter_config(4, 2.0))


@pytest.fixture(scope="module")
def models():
    return {
        "backbone": random_weights(TINY.backbone, jax.random.key(1)),
        "branch": random_weights(TINY.branch, jax.random.key(2)),
    }


def test_the_published_adapter_has_half_the_scale():
    published = adapter_config()
    assert (published.rank, published.scale, published.extra_keys) == (256, 0.5, True)
    assert published.targets == ADAPTED_LINEARS and len(ADAPTED_LINEARS) == 4
    assert adapter_config(8, 2.0).scale == 0.25


def test_a_fresh_adapter_changes_nothing_and_all_else_is_frozen(stage, models):
    weights = stage.start(models, jax.random.key(0))
    flat = trees.flatten(weights.trainable)
    assert set(flat) == {f"{target}/{name}" for target in ADAPTED_LINEARS for name in ("lora_a", "lora_b")}
    assert not any(np.any(leaf) for path, leaf in flat.items() if path.endswith("lora_b"))
    assert all(np.any(leaf) for path, leaf in flat.items() if path.endswith("lora_a"))
    jax.tree.map(np.testing.assert_array_equal, weights.frozen, models)


def test_an_adapter_is_continued_as_it_was_stored(stage, models, tmp_path):
    origins = stage.origins(CheckpointFolder(tmp_path), tmp_path / "id")
    assert {name: one.folder for name, one in origins.items()} == {
        "backbone": tmp_path / "transformer",
        "branch": tmp_path / "branch",
        "id_adapter": tmp_path / "id",
    }
    trained = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.25, np.float32), origins["id_adapter"].shapes)
    weights = stage.start({**models, "id_adapter": trained}, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, weights.trainable, trained)
    assert set(stage.origins(None, None)) == {"backbone", "branch"}


def test_it_is_sampled_on_its_frozen_models_and_exported_alone(stage, models):
    weights = stage.start(models, jax.random.key(0))
    assert stage.sampling_models(TINY.vae).loras == (stage.lora,) and stage.sampling_models(TINY.vae).has_id_adapter
    sampled = stage.sampling_weights(*weights)
    assert sampled["loras"] == [weights.trainable] and sampled["branch"] is weights.frozen["branch"]
    assert stage.exports(*weights) == {"id_adapter": (stage.lora, weights.trainable)}


def test_rank_and_scale_are_those_of_the_adapter_to_continue_from(tmp_path):
    stored = adapter_config(2, 3.0)
    (tmp_path / "config.json").write_text(json.dumps(config.to_json(stored)))
    found = registry.training_models(ModelConfig(stage="id_adapter", name="tiny", rank=8, init_from=str(tmp_path)))
    assert found.stage.lora == stored
