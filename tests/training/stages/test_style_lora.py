"""A LoRA of the backbone on own clips: where it starts, what its loss is, and that sampling reads what it exports."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.test_configs import config_of
from vp_jax import checkpoint, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.pipeline import Pipeline
from vp_jax.media.video_writer import write_video
from vp_jax.models import config
from vp_jax.models.config import LoRAConfig
from vp_jax.models.folder import CheckpointFolder
from vp_jax.models.variants import variant
from vp_jax.runs.train import train
from vp_jax.scalars import read_metrics
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry
from vp_jax.training.stages.denoising import Draws
from vp_jax.training.stages.id_adapter import ADAPTED_LINEARS
from vp_jax.training.stages.style_lora import StyledClips, StyleStage
from vp_jax.training.stages.weights import random_weights

TINY = variant("tiny")
STAGE = StyleStage(TINY.backbone, LoRAConfig(targets=ADAPTED_LINEARS, rank=4, scale=0.5))


@pytest.fixture(scope="module")
def backbone():
    return random_weights(TINY.backbone, jax.random.key(1))


def test_it_begins_as_an_adapter_that_changes_nothing_on_a_frozen_backbone(backbone):
    weights = STAGE.start({"backbone": backbone}, jax.random.key(0))
    flat = trees.flatten(weights.trainable)
    assert set(flat) == {f"{target}/{name}" for target in ADAPTED_LINEARS for name in ("lora_a", "lora_b")}
    assert not any(np.any(leaf) for path, leaf in flat.items() if path.endswith("lora_b"))
    jax.tree.map(np.testing.assert_array_equal, weights.frozen, backbone)
    assert set(STAGE.origins(None, None)) == {"backbone"}


def test_an_adapter_is_continued_as_it_was_stored(backbone, tmp_path):
    origins = STAGE.origins(CheckpointFolder(tmp_path), tmp_path / "old")
    assert {name: one.folder for name, one in origins.items()} == {
        "backbone": tmp_path / "transformer",
        "style_lora": tmp_path / "old",
    }
    trained = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.25, np.float32), origins["style_lora"].shapes)
    weights = STAGE.start({"backbone": backbone, "style_lora": trained}, jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, weights.trainable, trained)
    stored = LoRAConfig(targets=ADAPTED_LINEARS[:2], rank=2, scale=3.0)
    (tmp_path / "config.json").write_text(json.dumps(config.to_json(stored)))
    found = registry.training_models(ModelConfig(stage="style_lora", name="tiny", rank=8, init_from=str(tmp_path)))
    assert found.stage.lora == stored, "rank, targets and scale are its own"


@pytest.mark.slow
def test_the_loss_reaches_the_adapter_and_knows_no_hole(backbone):
    weights = STAGE.start({"backbone": backbone}, jax.random.key(0))
    channels = TINY.backbone.out_channels
    latents = jax.random.normal(jax.random.key(2), (2, 3, 8, 12, channels))
    text = jax.random.normal(jax.random.key(3), (2, TINY.backbone.max_text_len, TINY.backbone.text_dim))
    image = jnp.zeros_like(latents) if TINY.backbone.in_channels == 2 * channels else None
    batch = StyledClips(latents, text, image)
    draws = Draws(jnp.array([300, 900]), jax.random.normal(jax.random.key(4), latents.shape))

    def loss(adapter):
        parts = STAGE.loss(adapter, weights.frozen, batch, draws, Schedule())
        return parts.whole_B.mean(), parts

    grads, parts = jax.jit(jax.grad(loss, has_aux=True))(weights.trainable)
    assert (parts.whole_B > 0).all() and not parts.hole_B.any()
    for path, leaf in trees.flatten(grads).items():
        assert leaf.any() == path.endswith("lora_b"), "B is zero, so A gets no gradient yet"


@pytest.mark.slow
def test_own_clips_without_masks_give_an_adapter_that_sampling_reads(converted, one_device, tmp_path, capsys):
    rng = np.random.default_rng(0)
    clips = tmp_path / "clips"
    for name in ("a", "b"):
        write_video(clips / f"{name}.mp4", rng.integers(0, 256, (9, 64, 96, 3), np.uint8), 8)
        (clips / f"{name}.txt").write_text(f"{name} in sks style")
    run = config_of("style_lora:tiny")
    run.model.checkpoint, run.steps, run.log_every = str(converted), 2, 1
    run.data.update(kind="folder", path=str(clips))
    run.loader.batch_size = 1
    run.validation.update(every=2, clips=1)
    assert train(run, tmp_path / "run") == 0
    *steps, validated = read_metrics(tmp_path / "run")
    assert [line["loss_hole"] for line in steps] == [0, 0] and steps[0]["grad_norm_blocks"] > 0
    assert np.isfinite([validated["val_loss"], validated["val_psnr"]]).all()

    adapter = tmp_path / "run" / "export" / "style_lora"
    assert f"; sample with --lora {adapter} and the checkpoint" in capsys.readouterr().out
    assert checkpoint.load_config(adapter)["kind"] == "lora"
    pipeline = Pipeline.load(converted, precision="float32", attention="xla", loras=((adapter, 1.0),))
    (lora,) = pipeline.models.loras
    assert (lora.rank, lora.scale, lora.extra_keys) == (4, 0.5, False)
    base = trees.flatten(checkpoint.load_params(converted / "transformer"))
    merged = trees.flatten(pipeline.params["backbone"])
    changed = {path.removesuffix("/kernel") for path, leaf in merged.items() if np.any(leaf != base[path])}
    assert changed == set(ADAPTED_LINEARS), "merged into the layers that it adapts, and nowhere else"
