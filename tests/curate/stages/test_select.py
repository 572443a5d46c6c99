"""Selection: limits of scores, those of plug-ins among them."""

import pytest

from vp_jax.curate.record import ClipRecord, Dropped
from vp_jax.curate.stages.select import SelectClips
from vp_jax.errors import UserError

SCORES = {"change": 9.0, "motion": 0.1, "sharpness": 99.0, "brightness": 90.0, "clipped": 0.1, "black_bars": 0.0}


def clip_with(**scores):
    return ClipRecord("a", "a", scores={**SCORES, **scores})


@pytest.mark.parametrize(
    "scores, words",
    [
        ({"change": 0.1}, "still picture: change 0.1, expected 0.5 or more"),
        ({"motion": 0.0}, "motion 0, expected 0.001 or more"),
        ({"motion": 3.0}, "motion 3, expected 2 or less"),
        ({"sharpness": 3.25}, "sharpness 3.25, expected 10 or more"),
        ({"brightness": 250.0}, "brightness 250, expected 245 or less"),
        ({"clipped": 0.9}, "clipped pixels 0.9, expected 0.5 or less"),
        ({"black_bars": 0.2}, "black bars 0.2, expected 0.04 or less"),
    ],
)
def test_a_limit_is_named_with_the_value(scores, words):
    assert list(SelectClips().faults(clip_with(**scores))) == [words]
    with pytest.raises(Dropped):
        SelectClips().process(clip_with(**scores), None)


def test_a_good_clip_stays_as_it_is():
    assert SelectClips().process(clip_with(), None) == [clip_with()]


def test_limits_of_further_scores():
    stage = SelectClips(plugins="beauty=4.5:,text=:0.2")
    assert list(stage.faults(clip_with(beauty=5.0, text=0.1))) == []
    assert list(stage.faults(clip_with(beauty=4.0, text=0.3))) == [
        "beauty 4, expected 4.5 or more",
        "text 0.3, expected 0.2 or less",
    ]
    with pytest.raises(UserError, match="no score beauty"):
        list(stage.faults(clip_with()))
    with pytest.raises(UserError, match="expected NAME=LEAST:MOST"):
        list(SelectClips(plugins="beauty=high").faults(clip_with(beauty=1.0)))
