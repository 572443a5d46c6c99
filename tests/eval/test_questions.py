"""Marks of an edit by a vision-language model, through the real protocol."""

import json
import math

import numpy as np
import pytest

from tests.eval.made_clips import made_clip, results_of
from tests.vlm.fake_server import fake_server, malformed
from vp_jax.errors import UserError
from vp_jax.eval.questions import KeyFrames, detail_of
from vp_jax.eval.scores import SCORES, ClipFacts, Meters, left_out, scores_of
from vp_jax.vlm import connect
from vp_jax.vlm.protocol import Limits

CLIP = made_clip()
NAMES = ("vlm_followed", "vlm_quality")


def measured(server, result_FHWC, holes_FHW=CLIP.holes_FHW, names=NAMES):
    vlm = connect(server.url, Limits(attempts=2, pause=0.0))
    meters = Meters([SCORES[name] for name in names], ClipFacts("a street", "a red disc"), {"vlm": vlm})
    for part in (slice(0, 2), slice(2, 9)):
        meters.update(result_FHWC[part], CLIP.truth_FHWC[part], holes_FHW[part])
    return meters.values()


def by_redness(handler):
    """Marks what it sees: the share of red in the middle of the details."""
    shown = handler.server.requests[-1].images[4:]
    red = np.mean([p[p.shape[0] // 2, p.shape[1] // 2, 0] > 150 and p[..., 1].min() < 100 for p in shown])
    handler.completion(json.dumps({"followed": int(10 * red), "quality": 7}))


def test_an_edit_that_shows_what_was_asked_for_has_the_better_mark():
    with fake_server(by_redness) as server:
        edited, left = (measured(server, results_of(CLIP)[name]) for name in ("object", "background"))
    assert edited["vlm_followed"] == 1.0 > left["vlm_followed"] and edited["vlm_quality"] == 0.7
    assert len(server.chats) == 2, "one question for both scores of a clip"
    asked = server.chats[0]
    assert "a red disc" in asked.text and len(asked.images) == 8
    assert asked.images[0].shape == CLIP.truth_FHWC.shape[1:] and asked.images[4].shape[0] < 64


def test_marks_outside_of_the_scale_are_asked_for_again():
    with fake_server({"followed": 11, "quality": 5}, {"followed": 10, "quality": 5}) as server:
        assert measured(server, CLIP.truth_FHWC) == {"vlm_followed": 1.0, "vlm_quality": 0.5}
    with fake_server(malformed) as server, pytest.raises(UserError, match="in 2 attempts"):
        measured(server, CLIP.truth_FHWC)


def test_without_a_hole_nothing_is_asked():
    with fake_server() as server:
        values = measured(server, CLIP.truth_FHWC, CLIP.holes_FHW & False)
    assert all(math.isnan(value) for value in values.values()) and not server.requests


def test_nothing_is_asked_unless_a_model_is_named():
    assert left_out()["vlm"] == list(NAMES) and not {*NAMES} & {score.name for score in scores_of()}
    assert {*NAMES} <= {score.name for score in scores_of(weights=["vlm"])}


@pytest.mark.parametrize("frames", [1, 3, 4, 7, 8, 9, 100])
def test_key_frames_are_spread_evenly_and_few(frames):
    kept = KeyFrames(4)
    for number in range(frames):
        kept.add(number)
    chosen = kept.chosen()
    assert chosen[0] == 0 and len(chosen) == min(4, frames) and chosen == sorted(set(chosen))
    assert frames < 4 or (min(np.diff(chosen)) >= frames // 8 and chosen[-1] >= frames * 0.6)


def test_a_detail_has_some_surroundings_within_the_frame():
    hole = np.zeros((40, 60), bool)
    hole[10:20, 0:8] = True
    assert detail_of(np.zeros((40, 60, 3), np.uint8), hole).shape == (16, 10, 3)
