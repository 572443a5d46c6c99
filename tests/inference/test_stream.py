"""The loop: what it yields, and that it begins anywhere with the same result."""

import inspect

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.inference import stream
from vp_jax.inference.padded import pad_video
from vp_jax.inference.settings import Settings
from vp_jax.inference.stream import Start, StepDone, WindowDone


@pytest.fixture(scope="module")
def run(pipeline, clip):
    """Events of the clip's three windows of two steps."""
    frames, holes, prompt = clip

    def run(start=stream.BEGINNING, **changes):
        settings = Settings(**{"steps": 2, "window": 5, "overlap": 1, **changes})
        return list(pipeline.windows(pad_video(frames, holes, settings), prompt, settings, start=start))

    return run


def same(got, want):
    """Bit for bit."""
    assert got.window == want.window
    np.testing.assert_array_equal(got.carry.latents_BThwC, want.carry.latents_BThwC)


def test_the_loop_is_short_enough_to_be_read():
    assert len(inspect.getsource(stream.windows).splitlines()) <= 40


def test_steps_of_a_window_then_the_window(run):
    events = run()
    assert [event[:2] if isinstance(event, StepDone) else event.window for event in events] == [
        (0, 1), (0, 2), 0, (1, 1), (1, 2), 1, (2, 1), (2, 2), 2,
    ]  # fmt: skip
    for event in events:
        latents = event.state.x if isinstance(event, StepDone) else event.carry.latents_BThwC
        assert latents.shape == (1, 2, 4, 4, 4) and np.isfinite(latents).all()
    np.testing.assert_array_equal(events[1].state.x, events[2].carry.latents_BThwC)


@pytest.mark.slow
@pytest.mark.parametrize("clip_weight", [0.0, 0.5])
def test_it_goes_on_from_a_window_or_from_the_middle_of_one(run, clip_weight):
    events = run(clip_weight=clip_weight)
    windows = [event for event in events if isinstance(event, WindowDone)]
    from_window = run(Start(1, windows[0].carry), clip_weight=clip_weight)
    assert len(from_window) == 6
    same(from_window[-1], windows[-1])
    from_step = run(Start(1, windows[0].carry, events[3]), clip_weight=clip_weight)
    assert [event.done for event in from_step if isinstance(event, StepDone)] == [2, 1, 2]
    same(from_step[1], windows[1])
    same(from_step[-1], windows[-1])


@pytest.mark.slow
def test_states_are_recorded_only_where_the_next_window_reads_them(run):
    carries = [event.carry for event in run(clip_weight=0.5) if isinstance(event, WindowDone)]
    assert [carry.previous is None for carry in carries] == [False, False, True]
    assert all(event.carry.previous is None for event in run() if isinstance(event, WindowDone))


def test_each_window_has_noise_of_its_own(run):
    """The first and the last two windows read nothing but their own frames and what came before."""
    first, other = (run(seed=seed)[2].carry.latents_BThwC for seed in (1, 2))
    assert (np.asarray(first) != np.asarray(other)).any()


def test_a_window_that_is_no_number_is_named(pipeline, clip):
    frames, holes, prompt = clip
    settings = Settings(steps=2, window=5, overlap=1)
    broken = prompt._replace(positive_ME=np.full_like(prompt.positive_ME, np.nan))
    with pytest.raises(UserError, match=r"window 1 of 3 came out as NaN or infinity: check the weights"):
        list(pipeline.windows(pad_video(frames, holes, settings), broken, settings))
