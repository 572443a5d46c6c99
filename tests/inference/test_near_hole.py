"""Hole steps in the sampler: what they equal, what they cost, after a stop, and what they are not combined with."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from tests.tiny import ADAPTED
from vp_jax.errors import UserError
from vp_jax.inference import stream
from vp_jax.inference.compiled import CompiledWindow
from vp_jax.inference.near_hole import check_model
from vp_jax.inference.padded import pad_video
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowInputs, WindowLatents
from vp_jax.inference.window import WindowProgram, window_noise
from vp_jax.models.config import LoRAConfig
from vp_jax.models.inpaint import Condition
from vp_jax.planning import hlo

SETTINGS = Settings(steps=5, guidance=3.0, dynamic_guidance=False, window=5, overlap=1, background_every=3)


def sampled(pipeline, clip, settings, holes=None, start=stream.BEGINNING):
    """Events of the first window."""
    frames, drawn, text = clip
    holes = drawn if holes is None else holes
    compiled = CompiledWindow(pipeline.models, pipeline.params, pipeline.schedule, settings)
    plan, video = plan_windows(5, settings), pad_video(frames[:5], holes[:5], settings)
    return list(stream.windows(compiled, video, [text], plan, lambda k: window_noise(settings, k), start))


def latents(events):
    return np.asarray(events[-1].carry.latents_BThwC)


@pytest.fixture(scope="module")
def every_step(pipeline, clip):
    return latents(sampled(pipeline, clip, dataclasses.replace(SETTINGS, background_every=1)))


@pytest.fixture(scope="module")
def events(pipeline, clip):
    return sampled(pipeline, clip, SETTINGS)


def test_every_step_is_full_by_default_and_with_k_1_nothing_changes(pipeline, clip, every_step, events):
    frames, holes, text = clip
    plain = Settings(**{**dataclasses.asdict(SETTINGS), "background_every": 1, "injection": SETTINGS.injection})
    assert plain == dataclasses.replace(SETTINGS, background_every=Settings().background_every)
    found = list(pipeline.windows(pad_video(frames[:5], holes[:5], plain), text, plain))
    np.testing.assert_array_equal(latents(found), every_step)
    assert 1e-4 < relative_error(latents(events), every_step) < 0.3


def test_with_a_hole_that_covers_everything_it_is_the_plain_sampler(pipeline, clip):
    whole = np.ones_like(clip[1])
    every = sampled(pipeline, clip, dataclasses.replace(SETTINGS, background_every=1), whole)
    assert relative_error(latents(sampled(pipeline, clip, SETTINGS, whole)), latents(every)) < 1e-5


def test_the_source_s_latents_stay_outside_the_hole(clip, events, every_step):
    kept = np.broadcast_to(latents(events) == every_step, every_step.shape)
    assert kept[:, 0].all() and not kept[:, 1].all()
    estimate = np.asarray(events[1].state.x0_old)  # of a hole step: the source itself where there is no hole
    assert relative_error(estimate[:, 0], every_step[:, 0]) < 1e-4


def test_a_run_goes_on_behind_a_step_that_a_full_one_follows(pipeline, clip, events):
    assert [event.complete for event in events[:5]] == [False, False, True, False, False]
    kept = events[2]._replace(state=jax.tree.map(np.asarray, events[2].state))
    again = sampled(pipeline, clip, SETTINGS, start=stream.Start(0, None, kept))
    np.testing.assert_array_equal(latents(again), latents(events))


@pytest.mark.slow
def test_the_scan_equals_the_driven_loop(pipeline, clip, events):
    frames, holes, text = clip
    compiled = CompiledWindow(pipeline.models, pipeline.params, pipeline.schedule, SETTINGS)
    program, video = compiled.program, pad_video(frames[:5], holes[:5], SETTINGS)
    near = program.near_room(video.holes(plan_windows(5, SETTINGS), SETTINGS))
    assert near == 4
    noise, text_BME, window = compiled.put((window_noise(SETTINGS, 0), text.batch(True), video.window(0, 5)))
    inputs = WindowInputs(compiled.encode(*window, None, noise), text_BME, None, noise)
    scan = jax.jit(program.scan_near_steps, static_argnums=(2, 3))
    assert relative_error(scan(pipeline.params, inputs, 5, near).x, latents(events)) < 1e-5


def test_other_numbers_of_hole_steps_compile_nothing_new(pipeline, clip, events):
    jitted = CompiledWindow(pipeline.models, pipeline.params, pipeline.schedule, SETTINGS)._jitted.near_step
    before = jitted._cache_size()
    sampled(pipeline, clip, dataclasses.replace(SETTINGS, background_every=2, seed=3))
    assert jitted._cache_size() == before


def operations(pipeline, hole, room, size):
    """Of a compiled step, full or of the hole, for a window of 5 frames of this many latent rows and columns."""
    program = WindowProgram(pipeline.models, SETTINGS, pipeline.schedule)
    shape = jax.ShapeDtypeStruct
    video, mask = shape((1, 2, *size, 4), jnp.float32), shape((1, 2, *size), jnp.float32)
    tokens = shape((1, size[0] * size[1] // 2), jnp.bool_)
    given = WindowLatents(video, video, Condition(video, mask, tokens))
    inputs = WindowInputs(given, shape((2, 3, 6), jnp.float32), None, window_noise(SETTINGS, 0))
    state, index = jax.eval_shape(program.begin, inputs), shape((), jnp.int32)
    step = jax.jit(program.near_step, static_argnames="room")
    given = (pipeline.params, state, index, inputs, None)
    if hole:
        given = (*given[:-1], jax.eval_shape(lambda *parts: step(*parts, room=room)[1], *given))
    found = hlo.analyse(step.lower(*given, room=room).compile().as_text())
    assert not found.unknown_loops
    return found.matmul_flops + found.attention_flops


@pytest.mark.slow
def test_a_hole_step_with_a_fifth_of_the_picture_masked_takes_less_than_half_of_the_operations(pipeline):
    holes = np.zeros((1, 5, 480, 720), bool)
    holes[:, :, 132:348, 200:520] = True
    room = WindowProgram(pipeline.models, SETTINGS, pipeline.schedule).near_room(holes)
    assert 0.19 < holes.mean() < 0.21 and 0.2 < room / 2700 < 0.35
    full, hole = (operations(pipeline, hole, room, (60, 90)) for hole in (False, True))
    assert hole <= 0.45 * full


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"mode": "reference", "hole_fill": None, "overlap": None}, "in reference mode"),
        ({"step_cache": "2x"}, "with a step_cache"),
        ({"joint": True}, "with joint windows"),
        ({"clip_weight": 0.5}, "with a clip_weight"),
        ({"replace_background": False}, "where the background is not replaced"),
        ({"guidance_stop": 0.5}, "with guidance in a part of the steps"),
    ],
)
def test_what_it_cannot_be_combined_with_is_refused(changes, reason):
    with pytest.raises(UserError, match=rf"^background_every 3: expected 1 {reason}"):
        dataclasses.replace(SETTINGS, **changes)


def test_models_that_cannot_and_numbers_that_are_none_are_refused(pipeline):
    adapter = LoRAConfig(ADAPTED, rank=2, scale=1.0, extra_keys=True)
    with pytest.raises(UserError, match=r"^background_every 3: expected 1 with an ID adapter"):
        check_model(dataclasses.replace(pipeline.models, loras=(adapter,)), SETTINGS)
    with pytest.raises(
        UserError, match=r"^background_every 3: expected 1 for this model, which has no context encoder"
    ):
        check_model(dataclasses.replace(pipeline.models, branch_cfg=None), SETTINGS)
    with pytest.raises(UserError, match=r"^background_every 3: expected 1 on a mesh of 4 devices$"):
        check_model(pipeline.models, SETTINGS, 4)
    for wrong in (0, 1.5, "2"):
        with pytest.raises(UserError, match=rf"^background_every {wrong}: expected 1 to 1000"):
            Settings(background_every=wrong)
