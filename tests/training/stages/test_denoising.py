"""What stages that denoise share: loss by timestep, sizes of clips, the empty caption, answers by default."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.stages.toy import ToyStage
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings
from vp_jax.models.variants import variant
from vp_jax.training.encode import Encoded, EncodedClips, Encoders
from vp_jax.training.stages.denoising import (
    TIMESTEP_BINS,
    Denoiser,
    Draws,
    Inpainter,
    by_timestep,
    check_clip_size,
    condition,
    shifted_timesteps,
    with_image,
)
from vp_jax.training.stages.stage import StepKeys

STAGE = ToyStage(variant("tiny").backbone)


def clips():
    return EncodedClips(jax.random.normal(jax.random.key(0), (3, 2, 4, 4, 16)), None)


def test_losses_are_summed_by_equal_ranges_of_timesteps():
    metrics = by_timestep(jnp.array([1.0, 2.0, 4.0, 8.0]), jnp.array([0, 99, 100, 999]), 1000)
    assert metrics["bin_loss"].tolist() == [3, 4, *[0] * (TIMESTEP_BINS - 3), 8]
    assert metrics["bin_count"].tolist() == [2, 1, *[0] * (TIMESTEP_BINS - 3), 1]


@pytest.mark.slow
def test_the_loss_is_that_of_the_velocity_by_hand():
    """x0 predicted from a constant velocity, weighted as in the module."""
    batch, bias = clips(), jnp.linspace(-1, 1, 16)
    t_B = jnp.array([10, 500, 900])
    draws = Draws(t_B, jax.random.normal(jax.random.key(1), batch.latents_BThwC.shape))
    loss = STAGE.loss({"bias": bias}, {}, batch, draws, Schedule())
    abar = Schedule().abar[np.asarray(t_B)].astype(np.float64).reshape(-1, 1, 1, 1, 1)
    x0, noise = np.asarray(batch.latents_BThwC, np.float64), np.asarray(draws.noise_BThwC, np.float64)
    x_t = np.sqrt(abar) * x0 + np.sqrt(1 - abar) * noise
    error = np.sqrt(abar) * x_t - np.sqrt(1 - abar) * np.asarray(bias, np.float64) - x0
    want = (1 / (1 - abar) * error**2).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(loss.whole_B, want, rtol=1e-4)
    assert not np.any(loss.hole_B), "clips without holes"


def test_a_transformer_that_predicts_clean_values_has_the_loss_of_their_velocity():
    """w_t (output - x_0)^2 with w_t = 1 / (1 - abar_t)."""
    batch, bias, t_B = clips(), jnp.linspace(-1, 1, 16), jnp.array([10, 500, 900])
    draws = Draws(t_B, jax.random.normal(jax.random.key(1), batch.latents_BThwC.shape))
    loss = STAGE.loss({"bias": bias}, {}, batch, draws, Schedule(prediction_type="sample"))
    error = np.asarray(bias, np.float64) - np.asarray(batch.latents_BThwC, np.float64)
    want = (error**2).mean(axis=(1, 2, 3, 4)) / (1 - Schedule().abar[np.asarray(t_B)])
    np.testing.assert_allclose(loss.whole_B, want, rtol=1e-3)


@pytest.mark.parametrize(
    "size, message",
    [
        ((10, 64, 96), "frames 10: expected 1, 5"),
        ((9, 60, 96), "height 60: expected a multiple of 16"),
        ((9, 64, 72), "width 72: expected a multiple of 16"),
    ],
)
def test_clips_that_do_not_fit_are_named(size, message):
    with pytest.raises(UserError, match=message):
        check_clip_size(*size, 16)
    with pytest.raises(UserError, match=message):
        STAGE.check_size(*size)
    STAGE.check_size(9, 64, 96)


def test_a_stored_embedding_of_the_empty_caption_is_taken_as_it_is():
    encoders, ids_M = Encoders(None, None, 24), jnp.array([3, 0, 0])
    stored_ME = jnp.ones((3, 24))
    assert STAGE.empty_caption(encoders, {}, ids_M, stored_ME) is stored_ME
    np.testing.assert_allclose(
        STAGE.empty_caption(encoders, {}, ids_M, None), encoders.text({}, ids_M[None])[0], rtol=1e-6
    )


def test_a_sampler_needs_a_vae():
    with pytest.raises(TypeError, match="needs a VAE"):
        Denoiser.sampler(STAGE, Encoders(None, None, 24), Settings(steps=1), Schedule())


def test_what_a_stage_does_not_say_is_nothing(tmp_path):
    assert STAGE.whole_clips() is STAGE and STAGE.calibrated({}, []) is STAGE
    STAGE.write_extras(tmp_path, Schedule())
    assert not [*tmp_path.iterdir()]
    assert not STAGE.needs_masks and not STAGE.needs_pixels and Inpainter.needs_masks


def test_condition_and_image_are_joined_in_the_order_of_the_patch_weights():
    full = {
        name: jnp.full((1, 2, 4, 4, 16), value)
        for name, value in (("latents_BThwC", 1.0), ("masked_latents_BThwC", 2.0), ("image_latents_BThwC", 3.0))
    }
    batch = Encoded(**full, mask_BThw=jnp.full((1, 2, 4, 4), 4.0), text_BME=jnp.zeros((1, 6, 24)))
    assert condition(batch).channels()[0, 0, 0, 0].tolist() == [2.0] * 16 + [4.0]
    assert with_image(batch.latents_BThwC, batch.image_latents_BThwC)[0, 0, 0, 0].tolist() == [1.0] * 16 + [3.0] * 16
    assert with_image(batch.latents_BThwC, None) is batch.latents_BThwC


def test_shifted_timesteps_are_those_of_the_formula_and_stay_in_range():
    uniform_B = jnp.array([0.0, 0.25, 0.5, 0.75, 1 - 2**-24])
    for shift, want in ((1.0, [0, 250, 500, 750]), (3.0, [0, 500, 750, 900]), (1 / 3, [0, 100, 250, 500])):
        got = shifted_timesteps(uniform_B, 1000, shift)
        assert got.dtype == jnp.int32 and got[-1] == 999
        np.testing.assert_allclose(got[:4], want, atol=1)


def test_a_fixed_timestep_leaves_the_noise_as_it_is():
    batch = clips()
    free = STAGE.draw(StepKeys(*jax.random.split(jax.random.key(2), 3)), batch, Schedule())
    fixed = STAGE.draw_at(StepKeys(*jax.random.split(jax.random.key(2), 3)), batch, Schedule(), jnp.int32(600))
    assert fixed.t_B.tolist() == [600, 600, 600] != free.t_B.tolist()
    np.testing.assert_array_equal(fixed.noise_BThwC, free.noise_BThwC)
