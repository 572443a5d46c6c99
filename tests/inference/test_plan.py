"""Plans cover every frame, in step with the latents; reference mode drops the tail."""

import pytest

from vp_jax.errors import UserError
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.settings import Settings


def settings(**changes):
    return Settings(**{"steps": 2, "window": 5, "overlap": 1, **changes})


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


def test_latents_of_the_stitched_windows_are_counted():
    assert plan_windows(80, settings(window=49, overlap=9)).latents == 13 + 10
    assert plan_windows(98, settings(window=49, overlap=0, mode="reference")).latents == 2 * 13 - 1


def test_reference_mode_names_a_short_video():
    with pytest.raises(UserError, match="30 frames, but reference mode needs at least one window of 49"):
        plan_windows(30, settings(window=49, overlap=0, mode="reference"))


def test_windows_of_one_frame_are_for_one_frame():
    assert plan_windows(1, settings(window=1, overlap=0)).output_frames == 1
    with pytest.raises(UserError, match="window 1 makes a single frame, the video has 11"):
        plan_windows(11, settings(window=1, overlap=0))


def test_every_shot_has_windows_of_its_own():
    plan = plan_windows(30, settings(), (7, 20))
    alone = [plan_windows(frames, settings()) for frames in (7, 13, 10)]
    assert plan.windows == (0, 4, 7, 11, 15, 20, 24, 28)
    assert [shot[:4] for shot in plan.shots] == [(0, 7, 0, 2), (7, 13, 2, 3), (20, 10, 5, 3)]
    assert [shot.latents for shot in plan.shots] == [part.latents for part in alone]
    assert (plan.cuts, plan.fresh, plan.output_frames) == ((7, 20), {0, 2, 5}, 30)
    assert plan.padded_frames == sum(part.padded_frames for part in alone)


def test_cuts_outside_of_a_video_and_in_reference_mode_are_named():
    with pytest.raises(UserError, match="cuts 7,30: the video has frames 0 to 29"):
        plan_windows(30, settings(), (7, 30))
    with pytest.raises(UserError, match="cuts 50: reference mode knows no scene cuts, leave them off"):
        plan_windows(120, settings(window=49, overlap=0, mode="reference"), (50,))
