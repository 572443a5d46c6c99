"""Distance in features of DINOv2, with tiny random weights."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.eval.made_clips import made_clip, results_of
from tests.eval.small_networks import random_network
from vp_jax.eval.scores import SCORES, Meters
from vp_jax.models.metrics.dino import DINO_MEAN, DINO_STD, DinoConfig

CFG = DinoConfig(image=56, patch=14, width=16, layers=1, heads=2)
CLIP = made_clip(frames=3)
NAMES = ("dino_distance", "dino_distance_hole")


@functools.cache
def network():
    return random_network(CFG)


def measured(result_FHWC, holes_FHW=CLIP.holes_FHW):
    meters = Meters([SCORES[name] for name in NAMES], networks={"dinov2": network()})
    for part in (slice(0, 2), slice(2, 3)):
        meters.update(result_FHWC[part], CLIP.truth_FHWC[part], holes_FHW[part])
    return meters.values()


def test_a_perfect_result_has_no_distance_and_a_kept_object_has_one():
    results = results_of(CLIP)
    perfect, kept, changed = (measured(results[name]) for name in ("perfect", "object", "background"))
    assert perfect["dino_distance"] == pytest.approx(0, abs=1e-5) == perfect["dino_distance_hole"]
    assert kept["dino_distance_hole"] > kept["dino_distance"] > 1e-3
    assert changed["dino_distance"] > 1e-3
    assert np.isnan(measured(results["object"], CLIP.holes_FHW & False)["dino_distance_hole"])


def test_the_distance_is_one_minus_the_cosine_of_each_patch():
    square = np.random.default_rng(0).uniform(0, 1, (2, 1, 56, 56, 3)).astype(np.float32)
    holes = np.zeros((1, 56, 56), bool)
    holes[:, 15:29, 29:55] = True
    meters = Meters([SCORES[name] for name in NAMES], networks={"dinov2": network()})
    meters.update(*square, holes)
    scaled = (square[:, 0] - np.array(DINO_MEAN)) / np.array(DINO_STD)
    a, b = np.asarray(nnx.merge(network().graph, network().params)(jnp.asarray(scaled, jnp.float32)), np.float64)
    apart = 1 - (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert meters.values()["dino_distance"] == pytest.approx(apart.mean(), abs=1e-4)
    assert meters.values()["dino_distance_hole"] == pytest.approx(apart[1:3, 2:].mean(), abs=1e-4)
