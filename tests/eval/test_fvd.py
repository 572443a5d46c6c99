"""Frechet distances of videos: parts of a clip, sets of clips; I3D is a stand-in of a few numbers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.eval.made_clips import made_clip
from tests.eval.small_networks import random_network
from vp_jax import trees
from vp_jax.eval.frechet import frechet_distance
from vp_jax.eval.fvd import FEATURES, PART, SIDE
from vp_jax.eval.scores import SCORES
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.i3d import I3DConfig
from vp_jax.models.metrics.videomae import VIDEOMAE_MEAN, VIDEOMAE_STD, VideoMaeConfig

CLIP = made_clip(frames=40, height=24, width=32)


class Means(nnx.Module):
    """Stands for I3D: mean, range and number of the values that it is shown."""

    def __init__(self):
        self.zero = nnx.Param(jnp.zeros(FEATURES))

    def __call__(self, x_BFHWC, own_statistics=False):
        seen = [x_BFHWC.mean(), x_BFHWC.min(), *x_BFHWC.shape[1:4], own_statistics]
        return self.zero[...][None].at[0, : len(seen)].set(jnp.array(seen, jnp.float32))


NETWORK = LoadedNetwork(*trees.split(Means()), I3DConfig())


def features(name, frames, parts):
    meter = SCORES[name].compute(networks={"i3d": NETWORK})
    for start in range(0, frames, parts):
        part = slice(start, min(start + parts, frames))
        meter.update(CLIP.truth_FHWC[part] / np.float32(255), CLIP.truth_FHWC[part], CLIP.holes_FHW[part])
    return meter.value()


def test_a_clip_is_cut_into_parts_in_the_range_of_the_network():
    pair = features("fvd", 40, 7)
    assert pair.shape == (2, FEATURES) and pair[0, 2:6].tolist() == [PART, SIDE, SIDE, 0]
    expected = 2 * CLIP.truth_FHWC[:32].mean() / 255 - 1  # the last 8 frames are no part
    np.testing.assert_allclose(pair[:, 0], expected, atol=2e-3)
    assert (pair[:, 1] < -0.5).all()
    np.testing.assert_allclose(features("fvd", 40, 40), pair, rtol=1e-6)


def test_a_short_clip_is_one_part_and_a_shorter_one_has_no_value():
    assert features("fvd", 12, 12)[1, 2] == 12
    assert np.isnan(features("fvd", 8, 8)).all()


def test_the_released_features_are_those_of_the_complete_clip():
    pair = features("reference_fvd", 40, 9)
    assert pair[1, 2:6].tolist() == [40, 24, 32, 1] and pair[1, 1] >= 0


def test_the_average_of_clips_is_their_distance():
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(2, FEATURES)) for _ in range(5)]
    score = SCORES["fvd"]
    expected = frechet_distance(*np.stack(clips, 1))
    assert score.average([*clips, np.full((2, FEATURES), np.nan)], [9] * 6) == pytest.approx(expected)
    assert math.isnan(score.average([], [])) and math.isnan(SCORES["reference_fvd"].average(clips[:1], [9]))


@pytest.mark.slow
def test_the_content_debiased_distance_has_the_mean_features_of_complete_parts_of_videomae():
    cfg = VideoMaeConfig(image=16, patch=8, frames=4, width=8, hidden=16, layers=1, heads=2)
    network = random_network(cfg)
    truth, result = np.random.default_rng(0).uniform(0, 1, (2, 10, 16, 16, 3)).astype(np.float32)
    meter = SCORES["frechet_videomae"].compute(networks={"videomae": network})
    assert np.isnan(meter.value()).all()
    for part in (slice(0, 3), slice(3, 10)):
        meter.update(result[part], truth[part], np.zeros((part.stop - part.start, 16, 16), bool))
    scaled = (np.stack([truth, result])[:, :8] - np.array(VIDEOMAE_MEAN)) / np.array(VIDEOMAE_STD)
    parts = jnp.asarray(scaled, jnp.float32).reshape(4, 4, 16, 16, 3)
    expected = jax.jit(nnx.merge(network.graph, network.params).__call__)(parts).reshape(2, 2, 8).mean(1)
    np.testing.assert_allclose(meter.value(), expected, atol=1e-5)
    assert SCORES["frechet_videomae"].average([meter.value()] * 3, [10] * 3) == pytest.approx(
        np.square(expected[0] - expected[1]).sum(), rel=1e-4
    )
