"""Windows: one program for every step and window, and the pure form equals the driven one."""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.inference.decode import stitch
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry
from vp_jax.inference.window import WindowProgram, window_noise


@pytest.fixture
def uncached():
    """Every compilation happens, and is logged."""
    jax.config.update("jax_enable_compilation_cache", False)
    jax.clear_caches()
    yield
    jax.config.update("jax_enable_compilation_cache", True)


def settings(**changes):
    return Settings(**{"steps": 2, "window": 5, "overlap": 1, **changes})


@pytest.mark.slow
def test_no_recompilation_between_steps_windows_and_seeds(pipeline, clip, caplog, uncached):
    """Counted at XLA: a trace count would miss a second compilation for other placements of the inputs."""
    frames, holes, text = clip
    chosen = settings(steps=3, guidance=5.0)  # of no other test: nothing is compiled yet
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        pipeline.inpaint(frames, holes, text, chosen)
        pipeline.inpaint(frames, holes, text, dataclasses.replace(chosen, seed=7))
    compiled = [record.getMessage() for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    for name in ("denoise_step", "encode", "encode_image"):
        assert sum(f"jit({name})" in message for message in compiled) == 1, (name, compiled)


@pytest.mark.slow
def test_the_pure_window_equals_the_driven_one(pipeline, clip):
    frames, holes, text = clip
    chosen = settings(mode="reference", overlap=0, clip_weight=0.5)
    program = WindowProgram(pipeline.models, chosen, pipeline.schedule)
    pair = jnp.asarray(np.stack([text[1], text[0]]))
    window = jax.jit(program.window, static_argnames=("record",))
    carry: Carry | None = None
    finals = []
    for k, begin in enumerate(plan_windows(len(frames), chosen).windows):
        pixels = jnp.asarray(frames[None, begin : begin + 5], jnp.float32) / 127.5 - 1
        noise = KeyNoise(jax.random.fold_in(jax.random.key(chosen.seed), k))
        carry = window(
            pipeline.params,
            pixels,
            jnp.asarray(holes[None, begin : begin + 5], jnp.float32),
            pair,
            carry,
            noise,
            record=k == 0,
        )
        finals.append(np.asarray(carry.latents_BThwC))
    want = pipeline.sample_latents(frames, holes, text, chosen)
    assert relative_error(stitch(finals, 0, reference=True), want) < 1e-5


@pytest.mark.parametrize("frames", [3, 5, 11])
def test_output_has_the_input_s_frames_and_the_same_seed_the_same_pixels(pipeline, clip, frames):
    video, holes, text = clip
    calls = []

    def run():
        return pipeline.inpaint(
            video[:frames], holes[:frames], text, settings(), progress=lambda *call: calls.append(call)
        )

    first = run()
    assert first.shape == (frames, 32, 32, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, run())
    total = 2 * len(plan_windows(frames, settings()).windows)
    steps = [call for call in calls if "decoding" not in call[2]]
    assert [call[0] for call in steps[:total]] == list(range(1, total + 1)) and calls[0][1] == total
    assert f"decoding {frames}/{frames} frames" in {call[2] for call in calls}


@pytest.mark.slow
def test_unmasked_latents_are_the_encoded_video(pipeline, clip):
    frames, holes, text = clip
    latents = pipeline.sample_latents(frames[:5], np.zeros_like(holes[:5]), text, settings(guidance=1.0))
    program = WindowProgram(pipeline.models, settings(), pipeline.schedule)
    noise = window_noise(settings(), 0)
    pixels = jnp.asarray(frames[None, :5], jnp.float32) / 127.5 - 1
    image = program.encode_image(pipeline.params, pixels[:, :1], noise)
    want = program.encode(pipeline.params, pixels, jnp.zeros((1, 5, 32, 32)), image, noise).video_BThwC
    assert relative_error(latents, want) < 1e-6


@pytest.mark.slow
def test_windows_agree_on_the_noise_of_a_latent_frame_that_they_share():
    chosen = Settings(window=49, overlap=9)
    shape = (1, 13, 2, 3, 4)
    for draw in (lambda noise: noise.named("initial", shape), lambda noise: noise.step(3, shape)):
        first, second = (np.asarray(draw(window_noise(chosen, number))) for number in (0, 1))
        np.testing.assert_array_equal(first[:, 10:], second[:, :3])
        assert not np.isin(first[:, :10], second).any()
    reference = Settings(window=49, overlap=9, mode="reference")
    first, second = (np.asarray(window_noise(reference, number).named("initial", shape)) for number in (0, 1))
    assert not np.isin(first, second).any()
