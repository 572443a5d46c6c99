"""The drawn-world benchmark: held-out clips whose truth is exact."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.vpbench.drawn import DRAWN_GROUPS, LONG_FRAMES, drawn_clips
from vp_jax.world.synthetic import HELD_OUT, World


def test_every_group_has_its_clips_and_the_truth_differs_in_the_hole_alone():
    clips = drawn_clips(1, size=(32, 48))
    assert [clip.group for clip in clips] == [*DRAWN_GROUPS] and len({clip.name for clip in clips}) == len(clips)
    for clip in clips:
        inputs = clip.open()
        changed_FHW = (inputs.frames_FHWC != inputs.truth_FHWC).any(-1)
        assert inputs.holes_FHW.any() and not (changed_FHW & ~inputs.holes_FHW).any(), clip.name
        assert changed_FHW.any() == (clip.group not in ("fill", "long")), clip.name
        assert clip.prompt and bool(clip.target) == (clip.group != "remove")
    assert len(clips[-1].open().frames_FHWC) == LONG_FRAMES


def test_clips_are_held_out_and_the_same_every_time():
    (clip,) = drawn_clips(1, groups=("fill",))
    np.testing.assert_array_equal(clip.open().frames_FHWC, clip.open().frames_FHWC)
    frames_FHWC, _ = World(1, 17, 64, 96, first=HELD_OUT)[0].read(np.arange(17))
    np.testing.assert_array_equal(clip.open().frames_FHWC, frames_FHWC)
    assert clip.facts["seed"] == HELD_OUT


@pytest.mark.parametrize(
    "options, message",
    [
        ({"groups": ("fly",)}, "groups fly: expected among fill, change"),
        ({"count": 0}, "clips 0: expected 1 or more"),
        ({"look": "dark"}, "look 'dark': expected one of flat, lit"),
    ],
)
def test_mistakes_are_one_line(options, message):
    with pytest.raises(UserError, match=message):
        drawn_clips(**{"count": 1, **options})
