"""Stages that make the frozen models from nothing: the VAE learns, resumes exactly, four exports are a model."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import train
from tests.compare import relative_error
from tests.test_configs import config_of
from tests.test_train import curve
from vp_jax import checkpoint, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import Pipeline
from vp_jax.models.config import VAEConfig
from vp_jax.models.tokenizer import EOS, UNK, Tokenizer
from vp_jax.models.vae.vae import Posterior
from vp_jax.models.variants import variant
from vp_jax.runs import load
from vp_jax.scalars import read_metrics
from vp_jax.training.encode import Encoders
from vp_jax.training.optim import OptimConfig, make_optimizer
from vp_jax.training.stages.denoising import StepKeys
from vp_jax.training.stages.scratch import BackboneStage, VAEStage, kl, latent_std
from vp_jax.training.state import init_state
from vp_jax.training.step import StepConfig, make_train_step
from vp_jax.world.synthetic import World
from vp_jax.world.vocabulary import train as train_vocabulary
from vp_jax.world.vocabulary import world_captions

SMALL = VAEConfig(channels=(4, 4, 8, 8), layers_per_block=1, groups=2, sample_height=16, sample_width=16)


def started(stage):
    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), stage.shapes().trainable
    )
    return stage.start(load.random_models(like), jax.random.key(0))


def clips(count, frames, rows=16, columns=16):
    world = World(count, frames, rows, columns)
    return np.stack([world[i].read(np.arange(frames))[0] for i in range(count)])


def test_the_vae_learns_a_batch():
    """Loss, and the error of pixels in it, of one batch seen again and again."""
    stage = VAEStage(SMALL)
    optimizer = make_optimizer(OptimConfig(lr=3e-3, warmup=0, weight_decay=0.0), 60)
    step = jax.jit(make_train_step(stage, optimizer, StepConfig(), Schedule()), donate_argnums=0)
    state = init_state(started(stage).trainable, optimizer)
    batch = {"pixels_BFHWC": jnp.asarray(clips(4, 1), jnp.float32) / 127.5 - 1}
    lines = []
    for _ in range(40):
        state, metrics = step(state, {}, batch, jax.random.key(1))
        lines.append(jax.device_get(metrics))
    assert all(np.isfinite(value) for line in lines for value in line.values())
    for name in ("loss", "loss_pixels"):
        assert np.mean([line[name] for line in lines[-5:]]) < 0.8 * lines[0][name], name
    parts = sum(lines[0][f"loss_{part}"] for part in ("pixels", "edges", "kl"))
    assert lines[0]["loss"] == pytest.approx(parts, rel=1e-5)


def test_noise_of_the_posterior_has_the_latents_shape():
    stage = VAEStage(SMALL)
    keys = StepKeys(*jax.random.split(jax.random.key(0), 3))
    noise = stage.draw(keys, {"pixels_BFHWC": jnp.zeros((2, 9, 16, 24, 3))}, Schedule())
    assert noise.shape == (2, 3, 2, 3, SMALL.latent_channels)


def test_kl_is_that_of_gaussians():
    mean, std = jnp.full((2, 1, 1, 1, 4), 0.5), jnp.full((2, 1, 1, 1, 4), 2.0)
    want = 0.5 * (0.25 + 4.0 - 1.0 - np.log(4.0))
    np.testing.assert_allclose(kl(Posterior(mean, std)), want, rtol=1e-6)
    np.testing.assert_allclose(kl(Posterior(0 * mean, std / 2)), 0, atol=1e-7)


def test_crops_are_parts_of_the_clips():
    pixels = np.arange(2 * 3 * 8 * 10 * 3, dtype=np.int64).reshape(2, 3, 8, 10, 3) % 251
    raw = {"pixels": jnp.asarray(pixels, jnp.uint8), "masks": jnp.zeros((2, 3, 8, 10), jnp.uint8)}
    encoders = Encoders(SMALL, None, 8)
    whole = VAEStage(SMALL).inputs(encoders, {}, raw, jax.random.key(0))["pixels_BFHWC"]
    stage = VAEStage(SMALL, crop=(4, 6))
    places = set()
    for seed in range(6):
        cut = stage.inputs(encoders, {}, raw, jax.random.key(seed))["pixels_BFHWC"]
        assert cut.shape == (2, 3, 4, 6, 3)
        for clip, source in zip(cut, whole):
            found = [
                (r, c) for r in range(5) for c in range(5) if np.array_equal(clip, source[:, r : r + 4, c : c + 6])
            ]
            assert len(found) == 1
            places |= set(found)
    assert len(places) > 3


def test_the_scaling_factor_gives_unit_variance():
    stage = VAEStage(SMALL)
    trainable = started(stage).trainable
    batches = [{"pixels": jnp.asarray(clips(4, 1)), "masks": jnp.zeros((4, 1, 16, 16), jnp.uint8)}] * 2
    std = latent_std(stage, trainable, batches)
    pixels = stage.inputs(Encoders(SMALL, None, 8), {}, batches[0], jax.random.key(0))["pixels_BFHWC"]
    means = stage.model(trainable).encode(pixels).mean_BThwC
    assert float(jnp.std(means / std)) == pytest.approx(1.0, rel=1e-4)


def test_a_fresh_backbone_predicts_nothing_and_its_text_encoder_learns():
    """Gates and head start at zero; after one step gradients reach every part, the text encoder last of all."""
    models = variant("nano")
    stage = BackboneStage(models.backbone, models.t5)
    optimizer = make_optimizer(OptimConfig(lr=1e-2, warmup=0), 10)
    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), stage.shapes().trainable["t5"]
    )
    weights = stage.start(load.random_models({"t5": like}), jax.random.key(0))
    assert jax.tree.map(jnp.shape, weights) == jax.tree.map(jnp.shape, stage.shapes())
    rng = np.random.default_rng(0)
    batch = {
        name: jnp.asarray(rng.standard_normal((2, 2, 4, 4, 16)), jnp.float32)
        for name in ("latents_BThwC", "image_latents_BThwC")
    }
    # the table of positions is for one size only
    batch = {name: jnp.tile(x, (1, 3, 2, 3, 1))[:, :5] for name, x in batch.items()}
    batch["input_ids"] = jnp.asarray(rng.integers(3, 400, (2, 24)), jnp.int32)
    velocity = stage.velocity(*weights, batch["latents_BThwC"], batch, jnp.array([5, 900]))
    assert velocity.shape == batch["latents_BThwC"].shape and not np.any(velocity)
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
        train.train(config, tmp_path)
    config.model.update(stage="single_branch", init_from="somewhere")
    with pytest.raises(UserError, match="leave init_from out"):
        train.train(config, tmp_path)
    config.model.update(stage="backbone", init_from=str(tmp_path))
    with pytest.raises(UserError, match="transformer"):
        train.train(config, tmp_path)
    config.model.update(init_from="", name="tiny")
    with pytest.raises(UserError, match="no text encoder to train"):
        train.train(config, tmp_path)


@pytest.mark.slow
def test_a_vae_run_resumes_exactly(one_device, tmp_path):
    """Two and two steps give the curve and the weights of four, the export has its own factor and can be continued."""

    def run(name, steps, init_from="", lr=3e-3):
        config = config_of("nano_vae")
        config.steps, config.log_every, config.compilation_cache = steps, 1, str(tmp_path / "programs")
        config.loader.update(batch_size=2)
        config.optimizer.update(warmup=0, cosine_stretch=100.0 / steps, lr=lr)
        config.model.update(name="tiny", vae_crop=(16, 24), init_from=str(init_from))
        config.checkpoints.every, config.validation.every = 2, 0
        assert train.train(config, tmp_path / name) == 0
        return checkpoint.load_params(tmp_path / name / "export" / "vae")

    whole = run("whole", 4)
    run("parts", 2)
    parts = run("parts", 4)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    jax.tree.map(np.testing.assert_array_equal, parts, whole)
    factor = checkpoint.load_config(tmp_path / "whole" / "export" / "vae")["scaling_factor"]
    assert np.isfinite(factor) and factor not in (0.7, 1.0)
    again = run("again", 1, tmp_path / "whole" / "export" / "vae", lr=1e-30)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), again, whole)


@pytest.mark.slow
def test_four_stages_make_a_model(one_device, tmp_path):
    """VAE, backbone, context encoder, adapter, each from what those before it exported; the whole can be loaded. A
    backbone can be continued from its export."""
    folder, vocabulary = tmp_path / "checkpoint", tmp_path / "vocabulary.model"
    train_vocabulary(world_captions(300), vocabulary)
    for name in ("nano_vae", "nano_backbone", "nano_branch", "nano_id"):
        config = config_of(name)
        config.steps, config.log_every, config.validation.every = 2, 1, 0
        config.data.update(kind="synthetic", synthetic_clips=8)
        config.loader.update(batch_size=2)
        config.optimizer.update(warmup=0)
        if name != "nano_vae":
            config.model.checkpoint = str(folder)
        if name == "nano_backbone":
            config.model.tokenizer = str(vocabulary)
        assert train.train(config, tmp_path / name) == 0
        assert all(np.isfinite(line["loss"]) for line in read_metrics(tmp_path / name))
        shutil.copytree(tmp_path / name / "export", folder, dirs_exist_ok=True)
    config = config_of("nano_backbone")
    config.steps, config.log_every, config.validation.every = 1, 1, 0
    config.data.update(kind="synthetic", synthetic_clips=8)
    config.loader.update(batch_size=2)
    config.optimizer.update(lr=1e-30, warmup=0)
    config.model.update(checkpoint=str(folder), init_from=str(tmp_path / "nano_backbone" / "export"))
    assert train.train(config, tmp_path / "again") == 0
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
