"""The sampler of a stage under training: what it decodes, guides and draws; and context encoders that say nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.settings import Settings
from vp_jax.models.config import VAEConfig
from vp_jax.models.folder import abstract_model
from vp_jax.models.inpaint import Condition, predict
from vp_jax.models.silent_branch import silent_branch, silent_weights
from vp_jax.models.vae import vae as vae_module
from vp_jax.models.variants import variant
from vp_jax.training.encode import Encoded, Encoders
from vp_jax.training.stages.single_branch import SingleBranchStage, widened
from vp_jax.training.stages.weights import random_weights

TINY = dataclasses.replace(variant("tiny").backbone, num_layers=1, sample_height=4, sample_width=4, sample_frames=5)
VAE = VAEConfig(channels=(4, 4, 4, 4), layers_per_block=1, groups=2)
SETTINGS = Settings(steps=1, window=5, guidance=3.0, dynamic_guidance=False)


@pytest.fixture(scope="module")
def batch():
    def draw(number, *shape):
        return jax.random.normal(jax.random.key(number), shape)

    mask = jnp.zeros((1, 2, 4, 4)).at[:, 1:, :2].set(1.0)
    return Encoded(draw(0, 1, 2, 4, 4, 16), draw(1, 1, 2, 4, 4, 16), mask, draw(2, 1, 6, 24), draw(3, 1, 2, 4, 4, 16))


@pytest.fixture(scope="module")
def weights():
    backbone, vae = random_weights(TINY, jax.random.key(1)), random_weights(VAE, jax.random.key(2))
    stage = SingleBranchStage(widened(TINY))
    return stage, stage.start({"backbone": backbone}, jax.random.key(0)), {"vae": vae}


def sample(weights, batch, settings=SETTINGS, key=5, empty=0.0):
    stage, (trainable, frozen), encoders = weights
    sampler = stage.sampler(Encoders(VAE, None, 24), settings, Schedule())
    return jax.jit(sampler)(trainable, frozen, encoders, batch, jnp.full((6, 24), empty), jax.random.key(key))


@pytest.mark.slow
def test_the_original_is_the_decoded_clean_video_and_the_background_stays(weights, batch):
    got = sample(weights, batch)
    vae = nnx.merge(abstract_model(VAE)[0], weights[2]["vae"])
    video_BThwC = jnp.concatenate([batch.latents_BThwC, batch.latents_BThwC[:, -1:]], axis=1)
    want = vae.decode(vae_module.unscale(VAE, video_BThwC))[:, :5]  # 2 latents stand for 5 frames
    assert relative_error(got.clean_BFHWC, want) < 1e-5 and got.clean_BFHWC.shape == got.result_BFHWC.shape
    np.testing.assert_array_equal(got.mask_BThw, batch.mask_BThw)
    assert relative_error(got.result_BFHWC, got.clean_BFHWC) > 1e-2, "the hole is made anew"


@pytest.mark.slow
def test_key_empty_caption_and_guidance_each_change_the_result(weights, batch):
    first, again, other = sample(weights, batch), sample(weights, batch), sample(weights, batch, key=6)
    np.testing.assert_array_equal(first.result_BFHWC, again.result_BFHWC)
    assert relative_error(other.result_BFHWC, first.result_BFHWC) > 1e-3
    assert relative_error(sample(weights, batch, empty=1.0).result_BFHWC, first.result_BFHWC) > 1e-5
    plain = dataclasses.replace(SETTINGS, guidance=1.0)
    unguided = [sample(weights, batch, plain, empty=value).result_BFHWC for value in (0.0, 1.0)]
    np.testing.assert_array_equal(*unguided)


@pytest.mark.slow
def test_a_silent_branch_adds_nothing_to_its_backbone(batch):
    backbone = random_weights(TINY, jax.random.key(1))
    models = [
        nnx.merge(abstract_model(cfg)[0], tree)
        for cfg, tree in ((TINY, backbone), (silent_branch(TINY), silent_weights(TINY, backbone)))
    ]
    condition = Condition.of(batch.masked_latents_BThwC, batch.mask_BThw)
    x_t, t_B = batch.latents_BThwC, jnp.array([500])
    hints = models[1](x_t, condition.channels(), batch.text_BME, t_B)
    assert hints.shape[0] == 1 and not np.any(hints)
    got = predict(*models, x_t, batch.image_latents_BThwC, condition, batch.text_BME, t_B).sample
    want = models[0](jnp.concatenate([x_t, batch.image_latents_BThwC], axis=-1), batch.text_BME, t_B).sample
    np.testing.assert_array_equal(got, want)
