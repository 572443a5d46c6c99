"""The backbone from scratch: how it starts and learns, its vocabulary, and four exports that make a model."""

import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from tests.test_configs import config_of
from vp_jax import checkpoint, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import Pipeline
from vp_jax.models.tokenizer import EOS, UNK, Tokenizer
from vp_jax.models.variants import VARIANTS, variant
from vp_jax.runs.starting_weights import random_models
from vp_jax.runs.train import train
from vp_jax.scalars import read_metrics
from vp_jax.training.optim import OptimConfig, make_optimizer
from vp_jax.training.stages.backbone import BackboneStage, CaptionedLatents
from vp_jax.training.state import init_state
from vp_jax.training.step import StepConfig, make_train_step
from vp_jax.world.vocabulary import train_vocabulary, world_captions


@pytest.mark.slow
def test_a_fresh_backbone_predicts_nothing_and_its_text_encoder_learns():
    """Gates and head start at zero; after one step gradients reach every part, the text encoder last of all."""
    models = variant("nano")
    stage = BackboneStage(models.backbone, models.t5)
    optimizer = make_optimizer(OptimConfig(lr=1e-2, warmup=0), 10)
    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), stage.shapes().trainable["t5"]
    )
    weights = stage.start(random_models({"t5": like}), jax.random.key(0))
    assert jax.tree.map(jnp.shape, weights) == jax.tree.map(jnp.shape, stage.shapes())
    rng = np.random.default_rng(0)
    video, image = (jnp.asarray(rng.standard_normal((2, 2, 4, 4, 32)), jnp.float32) for _ in range(2))
    # the table of positions is for one size only
    video, image = (jnp.tile(x, (1, 3, 2, 3, 1))[:, :5] for x in (video, image))
    batch = CaptionedLatents(video, jnp.asarray(rng.integers(3, 400, (2, 24)), jnp.int32), image)
    velocity = stage.predicted(*weights, video, batch, jnp.array([5, 900]))
    assert velocity.shape == video.shape and not np.any(velocity)
    step = jax.jit(make_train_step(stage, optimizer, StepConfig(hole_weight=0.0), Schedule()))
    state = init_state(weights.trainable, optimizer)
    for _ in range(3):
        state, metrics = step(state, weights.frozen, batch, jax.random.key(1))
    assert metrics["loss_hole"] == 0 and np.isfinite(metrics["loss"])
    moved = trees.flatten(jax.tree.map(lambda a, b: bool(jnp.any(a != b)), state.params["t5"], weights.trainable["t5"]))
    assert all(moved.values()), [path for path, value in moved.items() if not value]


def test_the_vocabulary_is_t5s_and_knows_the_world(tmp_path):
    pieces = train_vocabulary(world_captions(300), tmp_path / "a.model")
    train_vocabulary(world_captions(300), tmp_path / "b.model")
    assert (tmp_path / "a.model").read_bytes() == (tmp_path / "b.model").read_bytes()
    tokenizer = Tokenizer(tmp_path / "a.model")
    assert tokenizer.vocab_size == pieces + 100 <= variant("nano").t5.vocab_size
    ids = tokenizer.encode(list(world_captions(100, 5000)), length=variant("nano").backbone.max_text_len)
    assert not (ids == UNK).any() and (ids == EOS).sum(1).tolist() == [1] * 100
    assert (ids[:, -1] <= EOS).all(), "every caption has its end, none is cut"


def test_what_the_backbone_stage_asks_for(one_device, tmp_path):
    config = config_of("nano_backbone")
    config.data.update(kind="synthetic")
    with pytest.raises(UserError, match="needs a vocabulary"):
        train(config, tmp_path)
    config.model.update(stage="single_branch", init_from="somewhere")
    with pytest.raises(UserError, match="leave init_from out"):
        train(config, tmp_path)
    config.model.update(stage="backbone", init_from=str(tmp_path))
    with pytest.raises(UserError, match="transformer"):
        train(config, tmp_path)
    config.model.update(init_from="", name="tiny")
    with pytest.raises(UserError, match="no text encoder to train"):
        train(config, tmp_path)


@pytest.mark.slow
def test_four_stages_make_a_model(one_device, tmp_path, monkeypatch):
    """VAE, backbone, context encoder, adapter, each from what those before it exported; the whole can be loaded. A
    backbone can be continued from its export."""
    small = dataclasses.replace(variant("nano").vae, channels=(8, 8), layers_per_block=1)  # it compiles fast
    for name in ("nano", "nano_coarse"):
        monkeypatch.setitem(VARIANTS, name, dataclasses.replace(VARIANTS[name], vae=small))
    folder, vocabulary = tmp_path / "checkpoint", tmp_path / "vocabulary.model"
    train_vocabulary(world_captions(300), vocabulary)
    for name in ("nano_autoencoder", "nano_backbone", "nano_branch", "nano_id"):
        config = config_of(name)
        config.steps, config.log_every, config.validation.every = 2, 1, 0
        config.data.update(kind="synthetic", synthetic_clips=8)
        config.loader.update(batch_size=2)
        config.optimizer.update(warmup=0)
        if name != "nano_autoencoder":
            config.model.checkpoint = str(folder)
        if name == "nano_backbone":
            config.model.tokenizer = str(vocabulary)
        assert train(config, tmp_path / name) == 0
        assert all(np.isfinite(line["loss"]) for line in read_metrics(tmp_path / name))
        shutil.copytree(tmp_path / name / "export", folder, dirs_exist_ok=True)
    config = config_of("nano_backbone")
    config.steps, config.log_every, config.validation.every = 1, 1, 0
    config.data.update(kind="synthetic", synthetic_clips=8)
    config.loader.update(batch_size=2)
    config.optimizer.update(lr=1e-30, warmup=0)
    config.model.update(checkpoint=str(folder), init_from=str(tmp_path / "nano_backbone" / "export"))
    assert train(config, tmp_path / "again") == 0
    for name in ("transformer", "text_encoder"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-30),
            *(checkpoint.load_params(tmp_path / run / "export" / name) for run in ("again", "nano_backbone")),
        )
    assert (tmp_path / "again" / "export" / "tokenizer" / "spiece.model").read_bytes() == vocabulary.read_bytes()
    pipeline = Pipeline.load(folder, precision="float32", attention="xla")
    assert pipeline.models.has_id_adapter and pipeline.native_frames == 17 and pipeline.native_size == (64, 96)
    text, empty = pipeline.encode_prompt("a red circle spins over grey stripes")
    assert text.shape == (24, 64) and relative_error(text, empty) > 0.1
