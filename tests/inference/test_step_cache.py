"""Reused estimates: what they stand for exactly, in the driven loop and in the scan, after a stop, and in the words."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from vp_jax.diffusion.reuse import Drift
from vp_jax.errors import UserError
from vp_jax.inference import step_cache, stream
from vp_jax.inference.compiled import CompiledWindow
from vp_jax.inference.padded import pad_video
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.inference.window import WindowProgram, window_noise

DRIFT = Drift((999, 500, 1), ((0.0, 0.1, 0.2), (0.0, 0.0, 0.1), (0.0, 0.0, 0.0)))
SETTINGS = Settings(steps=4, guidance=3.0, dynamic_guidance=False, sampler="ddim", window=5, overlap=1)


def sampled(pipeline, clip, settings, reused=(), start=stream.BEGINNING):
    """Events of the first window."""
    frames, holes, text = clip
    compiled = CompiledWindow(pipeline.models, pipeline.params, pipeline.schedule, settings, reused)
    plan, video = plan_windows(5, settings), pad_video(frames[:5], holes[:5], settings)
    return list(stream.windows(compiled, video, [text], plan, lambda k: window_noise(settings, k), start))


def latents(events):
    return np.asarray(events[-1].carry.latents_BThwC)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"guidance": 1.0}, {"guidance_start": 0.5}, {"guidance_stop": 0.5}])
def test_reusing_every_second_estimate_is_half_as_many_steps_of_ddim(pipeline, clip, changes):
    """An update of DDIM moves along the line between estimate and noise: two with one estimate are one of twice the
    length."""
    settings = dataclasses.replace(SETTINGS, **changes)
    half = dataclasses.replace(settings, steps=2)
    found = latents(sampled(pipeline, clip, settings, (1, 3)))
    assert relative_error(found, latents(sampled(pipeline, clip, half))) < 1e-4
    assert relative_error(found, latents(sampled(pipeline, clip, settings))) > 1e-3


@pytest.mark.slow
def test_the_scan_reuses_as_the_driven_loop_does_and_both_after_a_stop(pipeline, clip):
    settings = dataclasses.replace(SETTINGS, sampler="dpm", guidance_start=0.25, guidance_stop=0.75)
    events = sampled(pipeline, clip, settings, (2, 3))
    kept = stream.StepDone(0, 2, jax.tree.map(np.asarray, events[1].state))
    again = sampled(pipeline, clip, settings, (2, 3), stream.Start(0, None, kept))
    np.testing.assert_array_equal(latents(again), latents(events))

    program = WindowProgram(pipeline.models, settings, pipeline.schedule, (2, 3))
    frames, holes, text = clip
    pixels, hole = pad_video(frames[:5], holes[:5], settings).window(0, 5)
    noise, pair = window_noise(settings, 0), jnp.asarray(text.batch(True))
    carry = jax.jit(program.window)(pipeline.params, pixels, hole, pair, None, noise)
    assert relative_error(carry.latents_BThwC, latents(events)) < 1e-4


def test_other_schedules_compile_nothing_new(pipeline, clip):
    sampled(pipeline, clip, SETTINGS, (1, 3))
    jitted = CompiledWindow(pipeline.models, pipeline.params, pipeline.schedule, SETTINGS)._jitted.denoise_step
    before = jitted._cache_size()
    sampled(pipeline, clip, dataclasses.replace(SETTINGS, step_cache="2x", seed=9), (2,))
    assert jitted._cache_size() == before


def test_the_pipeline_reuses_what_its_file_says(pipeline, clip, tmp_path):
    step_cache.write_drift(tmp_path / step_cache.STEP_CACHE_FILE, DRIFT)
    assert step_cache.read_drift(tmp_path) == DRIFT and step_cache.read_drift(tmp_path / "none") is None
    frames, holes, text = clip
    settings = dataclasses.replace(SETTINGS, steps=5, step_cache="2x")
    reused = step_cache.reused_by(DRIFT, pipeline.schedule, settings)
    assert len(reused) == 3 and step_cache.reused_by(DRIFT, pipeline.schedule, SETTINGS) == ()
    ours = dataclasses.replace(pipeline, drift=DRIFT)
    found = list(ours.windows(pad_video(frames[:5], holes[:5], settings), text, settings))
    np.testing.assert_array_equal(latents(found), latents(sampled(pipeline, clip, settings, reused)))


def test_without_a_measurement_and_in_reference_mode_it_is_refused(pipeline, clip):
    frames, holes, text = clip
    with pytest.raises(UserError, match=r"^step_cache 1.5x: this model has no step_cache.json"):
        pipeline(frames[:5], holes[:5], text, step_cache="1.5x", steps=4)
    with pytest.raises(UserError, match=r"^step_cache 1.5x: expected none in reference mode$"):
        Settings(step_cache="1.5x", mode="reference")
    with pytest.raises(UserError, match=r"^step_cache fast: expected a factor such as 1.5x"):
        Settings(step_cache="fast")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / step_cache.STEP_CACHE_FILE).write_text('{"format": 1}')
    with pytest.raises(UserError, match=r"step_cache.json: no step cache: expected what `vp-jax calibrate` writes"):
        step_cache.read_drift(tmp_path)
