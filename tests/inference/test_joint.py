"""Windows that are denoised together agree where they overlap, and one window alone is what it always was."""

import numpy as np
import pytest

from vp_jax.diffusion.sampler import LoopState
from vp_jax.errors import UserError
from vp_jax.inference.joint import agreed
from vp_jax.inference.padded import pad_video
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.progress import position
from vp_jax.inference.settings import Settings
from vp_jax.inference.stream import StepDone, WindowDone

SETTINGS = Settings(steps=2, window=9, overlap=5, joint=True)


@pytest.fixture(scope="module")
def run(pipeline, clip):
    def run(count, settings, plan=None):
        frames, holes, prompt = clip
        padded = pad_video(frames[:count], holes[:count], settings)
        return list(pipeline.windows(padded, prompt, settings, plan=plan))

    return run


def latents_of(events):
    return [np.asarray(event.carry.latents_BThwC) for event in events if isinstance(event, WindowDone)]


@pytest.mark.slow
def test_all_windows_go_in_step_and_end_with_the_same_latents_where_they_overlap(run):
    events = run(13, SETTINGS)
    assert [event[:2] if isinstance(event, StepDone) else event.window for event in events] == [
        (0, 1), (1, 1), (0, 2), (1, 2), 0, 1,
    ]  # fmt: skip
    first, second = latents_of(events)
    np.testing.assert_array_equal(first[:, -1], second[:, 1])
    plan = plan_windows(13, SETTINGS)
    done = [position(event, plan, SETTINGS).done for event in events if isinstance(event, StepDone)]
    assert done == [1, 2, 3, 4]


def test_one_window_alone_is_what_it_always_was(run):
    (alone,), (usual,) = (latents_of(run(9, Settings(steps=2, window=9, overlap=5, joint=j))) for j in (True, False))
    np.testing.assert_array_equal(alone, usual)


def test_neighbours_change_one_another(run):
    together, usual = (latents_of(run(13, Settings(steps=2, window=9, overlap=5, joint=j))) for j in (True, False))
    for mine, theirs in zip(together, usual):
        assert np.isfinite(mine).all() and (mine != theirs).any()


def test_common_latents_are_a_ramp_from_one_window_to_the_next():
    states = [LoopState(np.full((1, 6, 1, 1, 1), value, np.float32), np.zeros((1, 6, 1, 1, 1))) for value in (0.0, 9.0)]
    left, right = (state.x for state in agreed(states, 2))
    np.testing.assert_allclose(left.ravel(), [0, 0, 0, 0, 3, 6])
    np.testing.assert_allclose(right.ravel(), [9, 3, 6, 9, 9, 9])
    assert all((state.x == given.x).all() for state, given in zip(agreed(states, 0), states))


def test_what_does_not_go_together_is_named():
    with pytest.raises(UserError, match="joint True: expected False in reference mode"):
        Settings(mode="reference", joint=True)
    with pytest.raises(UserError, match="joint True: expected False with a clip_weight"):
        Settings(clip_weight=0.5, joint=True)
