"""The VAE from scratch: it learns, its crops, its noise and its scaling factor, and a run resumes exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.test_configs import config_of
from tests.test_train import curve
from vp_jax import checkpoint
from vp_jax.data.batches import PixelBatch
from vp_jax.diffusion.schedule import Schedule
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae.vae import Posterior
from vp_jax.models.variants import VARIANTS
from vp_jax.runs.starting_weights import random_models
from vp_jax.runs.train import train
from vp_jax.training.encode import Encoders
from vp_jax.training.optim import OptimConfig, make_optimizer
from vp_jax.training.stages.stage import StepKeys
from vp_jax.training.stages.vae import Clips, VAEStage, kl, latent_moments
from vp_jax.training.state import init_state
from vp_jax.training.step import StepConfig, make_train_step
from vp_jax.world.synthetic import World

SMALL = VAEConfig(channels=(4, 4, 8, 8), layers_per_block=1, groups=2, sample_height=16, sample_width=16)
BLOCKS = VAEConfig(design="blocks", latent_channels=4, channels=(4, 8), layers_per_block=1, scaling_factor=1.0)
NONE = Encoders(None, None, 8)


def pixel_batch(pixels):
    """A loader's batch; nothing but the pixels matters."""
    pixels = jnp.asarray(pixels, jnp.uint8)
    ones = jnp.ones(len(pixels))
    return PixelBatch(pixels, jnp.zeros(pixels.shape[:-1], jnp.uint8), ones, ones)


def started(stage):
    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), stage.shapes().trainable
    )
    return stage.start(random_models(like), jax.random.key(0))


def clips(count, frames, rows=16, columns=16):
    world = World(count, frames, rows, columns)
    return np.stack([world[i].read(np.arange(frames))[0] for i in range(count)])


@pytest.mark.slow
def test_the_vae_learns_a_batch():
    """Loss, and the error of pixels in it, of one batch seen again and again."""
    stage = VAEStage(SMALL)
    optimizer = make_optimizer(OptimConfig(lr=3e-3, warmup=0, weight_decay=0.0), 60)
    step = jax.jit(make_train_step(stage, optimizer, StepConfig(), Schedule()), donate_argnums=0)
    state = init_state(started(stage).trainable, optimizer)
    batch = Clips(jnp.asarray(clips(4, 1), jnp.float32) / 127.5 - 1)
    lines = []
    for _ in range(40):
        state, metrics = step(state, {}, batch, jax.random.key(1))
        lines.append(jax.device_get(metrics))
    assert all(np.isfinite(value).all() for line in lines for value in line.values())
    for name in ("loss", "loss_pixels"):
        assert np.mean([line[name] for line in lines[-5:]]) < 0.8 * lines[0][name], name
    parts = sum(lines[0][f"loss_{part}"] for part in ("pixels", "edges", "kl"))
    assert lines[0]["loss"] == pytest.approx(parts, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [1, 5, 9, 13, 17])
def test_clips_of_any_length_that_the_settings_accept_are_learned_and_shown(frames):
    stage = VAEStage(SMALL)
    stage.check_size(frames, 16, 16)
    weights, batch = started(stage).trainable, Clips(jnp.asarray(clips(1, frames), jnp.float32) / 127.5 - 1)
    draws = stage.draw(StepKeys(*jax.random.split(jax.random.key(0), 3)), batch, Schedule())
    loss = jax.jit(lambda w: stage.loss(w, {}, batch, draws, Schedule()).total())(weights)
    shown = jax.jit(lambda w: stage.sampler(NONE, None, None)(w, {}, {}, batch, None, None))(weights)
    assert np.isfinite(loss).all() and shown.clean_BFHWC.shape == shown.result_BFHWC.shape == (1, frames, 16, 16, 3)


def test_noise_of_the_posterior_has_the_latents_shape():
    stage = VAEStage(SMALL)
    keys = StepKeys(*jax.random.split(jax.random.key(0), 3))
    noise = stage.draw(keys, Clips(jnp.zeros((2, 9, 16, 24, 3))), Schedule())
    assert noise.shape == (2, 3, 2, 3, SMALL.latent_channels)


def test_kl_is_that_of_gaussians():
    mean, std = jnp.full((2, 1, 1, 1, 4), 0.5), jnp.full((2, 1, 1, 1, 4), 2.0)
    want = 0.5 * (0.25 + 4.0 - 1.0 - np.log(4.0))
    np.testing.assert_allclose(kl(Posterior(mean, std)), want, rtol=1e-6)
    np.testing.assert_allclose(kl(Posterior(0 * mean, std / 2)), 0, atol=1e-7)


@pytest.mark.slow
def test_crops_are_parts_of_the_clips():
    pixels = np.arange(2 * 3 * 8 * 10 * 3, dtype=np.int64).reshape(2, 3, 8, 10, 3) % 251
    raw = pixel_batch(pixels)
    whole = VAEStage(SMALL).inputs(NONE, {}, raw, jax.random.key(0)).pixels_BFHWC
    stage = VAEStage(SMALL, crop=(4, 6))
    places = set()
    for seed in range(6):
        cut = stage.inputs(NONE, {}, raw, jax.random.key(seed)).pixels_BFHWC
        assert cut.shape == (2, 3, 4, 6, 3)
        for clip, source in zip(cut, whole):
            found = [
                (r, c) for r in range(5) for c in range(5) if np.array_equal(clip, source[:, r : r + 4, c : c + 6])
            ]
            assert len(found) == 1
            places |= set(found)
    assert len(places) > 3


@pytest.mark.slow
def test_the_scaling_factor_gives_unit_variance():
    stage = VAEStage(SMALL)
    trainable = started(stage).trainable
    batches = [pixel_batch(clips(4, 1))] * 2
    moments = latent_moments(stage, trainable, batches)
    pixels = stage.inputs(NONE, {}, batches[0], jax.random.key(0)).pixels_BFHWC
    means = stage.model(trainable).encode(pixels).mean_BThwC
    assert float(jnp.std(means / moments.std)) == pytest.approx(1.0, rel=1e-4)
    np.testing.assert_allclose(moments.mean_C, means.mean((0, 1, 2, 3)), rtol=1e-3, atol=1e-5)
    assert stage.calibrated(trainable, batches).vae.scaling_factor == pytest.approx(1 / moments.std, abs=1e-6)


@pytest.mark.slow
def test_every_channel_of_blocks_is_normalised():
    stage = VAEStage(BLOCKS)
    trainable = started(stage).trainable
    batch = pixel_batch(clips(4, 5))
    pixels = stage.inputs(NONE, {}, batch, jax.random.key(0)).pixels_BFHWC
    first = stage.calibrated(trainable, [batch])
    for normal in (first, first.calibrated(trainable, [batch])):  # of a calibrated one too
        means = np.asarray(normal.model(trainable).encode(pixels).mean_BThwC)
        np.testing.assert_allclose(means.mean((0, 1, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(means.std((0, 1, 2, 3)), 1, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("error", ["absolute", "squared"])
def test_the_loss_is_the_error_that_was_chosen(error):
    stage = VAEStage(BLOCKS, error=error, kl_weight=0.5)
    trainable = started(stage).trainable
    x = jnp.asarray(clips(2, 5), jnp.float32) / 127.5 - 1
    draws = stage.draw(StepKeys(*jax.random.split(jax.random.key(0), 3)), Clips(x), Schedule())
    posterior = stage.model(trainable).encode(x)
    wrong = np.asarray(stage.model(trainable).decode(posterior.sample(draws)) - x)
    parts = stage.loss(trainable, {}, Clips(x), draws, Schedule())
    want = np.square(wrong) if error == "squared" else np.abs(wrong)
    np.testing.assert_allclose(parts.pixels_B, want.mean((1, 2, 3, 4)), rtol=1e-4)
    edges = sum(np.abs(np.diff(wrong, axis=axis)).mean((1, 2, 3, 4)) for axis in (1, 2, 3))
    np.testing.assert_allclose(parts.edges_B, 0 if error == "squared" else edges, rtol=1e-4)
    np.testing.assert_allclose(parts.total(), parts.pixels_B + parts.edges_B + 0.5 * kl(posterior), rtol=1e-5)


@pytest.mark.slow
def test_a_vae_run_resumes_exactly(one_device, tmp_path, monkeypatch):
    """Two and two steps give the curve and the weights of four; a run may start from the export."""

    small = VAEConfig(design="blocks", channels=(8, 8), layers_per_block=1, sample_height=64, sample_width=96)
    monkeypatch.setitem(VARIANTS, "tiny", dataclasses.replace(VARIANTS["tiny"], vae=small))  # it compiles fast

    def run(name, steps, init_from="", lr=3e-3):
        config = config_of("nano_autoencoder")
        config.steps, config.log_every, config.compilation_cache = steps, 1, str(tmp_path / "programs")
        config.loader.update(batch_size=2, frames=1)
        config.optimizer.update(warmup=0, cosine_stretch=100.0 / steps, decay=1.0, lr=lr)
        config.model.update(name="tiny", vae_crop=(16, 24), init_from=str(init_from))
        config.checkpoints.every, config.validation.every = 2, 0
        assert train(config, tmp_path / name) == 0
        return checkpoint.load_params(tmp_path / name / "export" / "vae")

    whole = run("whole", 4)
    run("parts", 2)
    parts = run("parts", 4)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    jax.tree.map(np.testing.assert_array_equal, parts, whole)
    deviations = np.asarray(checkpoint.load_config(tmp_path / "whole" / "export" / "vae")["latent_std"])
    assert deviations.shape == (16,) and np.isfinite(deviations).all() and (deviations != 1).all()
    again = run("again", 1, tmp_path / "whole" / "export" / "vae", lr=1e-30)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), again, whole)
