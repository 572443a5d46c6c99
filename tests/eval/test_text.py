"""CLIP scores of clips: what the model sees, captions, and pairs across updates."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from tests.eval.made_clips import made_clip, results_of
from tests.eval.small_networks import clip_network
from vp_jax.eval.reference_text import sliced_caption
from vp_jax.eval.scores import SCORES, ClipFacts, Meters
from vp_jax.eval.text import bounding_box, caption_embedding, squared
from vp_jax.models.metrics.clip import CLIP_MEAN, CLIP_STD

CLIP = made_clip()
RESULTS = results_of(CLIP)
LONG = "the red cat sitting on the house " * 4
FACTS = ClipFacts(caption="the red cat", object_caption="cat")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return clip_network(tmp_path_factory.mktemp("clip"))


def measured(network, names, facts=FACTS, result_FHWC=RESULTS["perfect"], holes_FHW=CLIP.holes_FHW, parts=(9,)):
    meters = Meters([SCORES[name] for name in names], facts, {"clip_vit_l14": network, "clip_vit_b32": network})
    start = 0
    for length in parts:
        part = slice(start, start + length)
        meters.update(result_FHWC[part], CLIP.truth_FHWC[part], holes_FHW[part])
        start += length
    return meters.values()


def test_a_square_picture_of_the_right_size_is_only_normalised():
    picture = CLIP.truth_FHWC[0][:32, :32]
    expected = (picture / 255 - np.array(CLIP_MEAN)) / np.array(CLIP_STD)
    np.testing.assert_allclose(squared(picture, None, 32), expected, atol=1e-4)


def test_a_wide_picture_is_seen_from_side_to_side():
    picture = np.full((40, 80, 3), 255, np.uint8)
    seen = np.asarray(squared(picture, None, 32))
    assert np.abs(seen[:7]).max() < 1e-6 and np.abs(seen[-7:]).max() < 1e-6
    np.testing.assert_allclose(seen[16, [0, 16, 31]], np.tile((1 - np.array(CLIP_MEAN)) / CLIP_STD, (3, 1)), atol=1e-3)


def test_a_hole_is_seen_alone_and_enlarged():
    hole = np.zeros((40, 80), bool)
    hole[30:38, 60:68] = True
    assert [int(x) for x in bounding_box(jnp.asarray(hole))] == [30, 60, 8, 8]
    picture = np.where(hole[..., None], 255, 0).astype(np.uint8)
    seen = np.asarray(squared(picture, jnp.asarray(hole), 32))
    np.testing.assert_allclose(
        seen[8:24, 8:24], np.broadcast_to((1 - np.array(CLIP_MEAN)) / CLIP_STD, (16, 16, 3)), atol=1e-3
    )
    changed = np.where(hole[..., None], picture, 77).astype(np.uint8)
    np.testing.assert_array_equal(squared(changed, jnp.asarray(hole), 32), seen)


def test_scores_say_which_caption_they_want():
    assert SCORES["clip_vit_l14"].wants == ("caption",) and SCORES["clip_vit_l14_hole"].wants == ("object_caption",)


@pytest.mark.slow
def test_captions_are_compared_with_their_region(network):
    names = ["clip_vit_l14", "clip_vit_l14_hole", "clip_vit_b32"]
    values = measured(network, names)
    assert all(0 <= values[name] <= 100 for name in names)
    changed = measured(network, names, result_FHWC=RESULTS["background"])
    assert changed["clip_vit_l14_hole"] == pytest.approx(values["clip_vit_l14_hole"], abs=1e-3)
    missing = measured(network, names, facts=ClipFacts(caption="the red cat"))
    assert math.isnan(missing["clip_vit_l14_hole"]) and missing["clip_vit_l14"] == values["clip_vit_l14"]


def test_long_captions_still_differ(network):
    texts = (LONG, "house " + LONG)
    first, second = (caption_embedding(network, text) for text in texts)
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(*(sliced_caption(network, text) for text in texts))
    assert np.abs(sliced_caption(network, "cat") - sliced_caption(network, "house")).max() > 1e-3
    assert caption_embedding(network, " ") is None


@pytest.mark.slow
def test_consistency_reaches_across_updates(network):
    names = ["temporal_consistency", "temporal_consistency_hole"]
    at_once = measured(network, names, result_FHWC=RESULTS["flickering"])
    assert measured(network, names, result_FHWC=RESULTS["flickering"], parts=(2, 1, 6)) == pytest.approx(at_once)
    still = measured(network, names, result_FHWC=np.repeat(RESULTS["perfect"][:1], 9, 0))
    assert still["temporal_consistency"] == pytest.approx(1, abs=1e-5)
    assert at_once["temporal_consistency"] < 1 - 1e-5
