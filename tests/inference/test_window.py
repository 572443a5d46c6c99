"""Windows: one program for every step and window, the pure form equals the driven one, plans cover every frame."""

import dataclasses
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.inference.window import Carry, WindowProgram, stitch


@pytest.fixture
def uncached():
    """Every compilation happens, and is logged."""
    jax.config.update("jax_enable_compilation_cache", False)
    jax.clear_caches()
    yield
    jax.config.update("jax_enable_compilation_cache", True)


def settings(**changes):
    return Settings(**{"steps": 2, "window": 5, "overlap": 1, **changes})


def test_no_recompilation_between_steps_windows_and_seeds(pipeline, clip, caplog, uncached):
    """Counted at XLA: a trace count would miss a second compilation for other placements of the inputs."""
    frames, holes, text = clip
    chosen = settings(steps=3, guidance=5.0)  # of no other test: nothing is compiled yet
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        pipeline.inpaint(frames, holes, text, chosen)
        pipeline.inpaint(frames, holes, text, dataclasses.replace(chosen, seed=7))
    compiled = [record.getMessage() for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    for name in ("step", "encode", "encode_image"):
        assert sum(f"jit({name})" in message for message in compiled) == 1, (name, compiled)


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


@pytest.mark.parametrize(
    "frames, window, overlap", [(1, 5, 1), (5, 5, 1), (6, 5, 1), (80, 49, 9), (200, 49, 1), (200, 49, 5), (49, 49, 45)]
)
def test_plans_cover_every_frame_in_step(frames, window, overlap):
    plan = plan_windows(frames, settings(window=window, overlap=overlap))
    assert plan.output_frames == frames <= plan.padded_frames < frames + window
    assert all(start % 4 == 0 for start in plan.windows)
    assert plan.windows[-1] + window == plan.padded_frames


@pytest.mark.parametrize("frames, overlap, made", [(200, 0, 193), (200, 8, 169), (98, 0, 97), (49, 0, 49)])
def test_reference_mode_drops_the_tail(frames, overlap, made):
    plan = plan_windows(frames, settings(window=49, overlap=overlap, mode="reference"))
    assert plan.output_frames == made


def test_reference_mode_names_a_short_video():
    with pytest.raises(UserError, match="30 frames, but reference mode needs at least one window of 49"):
        plan_windows(30, settings(window=49, overlap=0, mode="reference"))


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
    assert [call[0] for call in calls[:total]] == list(range(1, total + 1)) and calls[0][1] == total


def test_unmasked_latents_are_the_encoded_video(pipeline, clip):
    frames, holes, text = clip
    latents = pipeline.sample_latents(frames[:5], np.zeros_like(holes[:5]), text, settings(guidance=1.0))
    program = WindowProgram(pipeline.models, settings(), pipeline.schedule)
    noise = KeyNoise(jax.random.fold_in(jax.random.key(42), 0))
    pixels = jnp.asarray(frames[None, :5], jnp.float32) / 127.5 - 1
    image = program.encode_image(pipeline.params, pixels[:, :1], noise)
    want = program.encode(pipeline.params, pixels, jnp.zeros((1, 5, 32, 32)), image, noise).video_BThwC
    assert relative_error(latents, want) < 1e-6


def test_stitching_weights():
    first, second = np.zeros((1, 3, 1, 1, 1), np.float32), np.ones((1, 3, 1, 1, 1), np.float32)
    assert stitch([first, second], 0, reference=True).ravel().tolist() == [0, 0, 0.5, 1, 1]
    assert stitch([first, second], 0, reference=False).ravel().tolist() == [0, 0, 0, 1, 1]
    assert stitch([first, second], 1, reference=True).ravel().tolist() == [0, 0.5, 0.5, 1]
    assert stitch([first, second], 1, reference=False).ravel().tolist() == [0, 0, 0.5, 1]


def test_windows_of_one_frame_are_for_one_frame():
    assert plan_windows(1, settings(window=1, overlap=0)).output_frames == 1
    with pytest.raises(UserError, match="window 1 makes a single frame, the video has 11"):
        plan_windows(11, settings(window=1, overlap=0))
