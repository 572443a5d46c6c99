"""Coherence of a removal, with a stand-in for DINOv2: the mean colour of each patch."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.eval.made_clips import made_clip
from vp_jax import trees
from vp_jax.eval.removal import around_hole, kernel_distance
from vp_jax.eval.scores import SCORES, Meters
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.dino import DinoConfig

CFG = DinoConfig(image=84, patch=4)
CLIP = made_clip(frames=3)


class Colours(nnx.Module):
    """Features of a patch: its mean colour, and a constant."""

    def __init__(self):
        self.one = nnx.Param(jnp.ones(1))

    def __call__(self, x_FHWC):
        cells = CFG.image // CFG.patch
        means = x_FHWC.reshape(len(x_FHWC), cells, CFG.patch, cells, CFG.patch, 3).mean((2, 4))
        return jnp.concatenate([means, jnp.broadcast_to(self.one[...], (*means.shape[:3], 1))], -1)


NETWORK = LoadedNetwork(*trees.split(Colours()), CFG)


def measured(result_FHWC, holes_FHW=CLIP.holes_FHW):
    meters = Meters([SCORES["removal_spatial"], SCORES["removal_temporal"]], networks={"dinov2": NETWORK})
    for part in (slice(0, 1), slice(1, 3)):
        meters.update(result_FHWC[part], CLIP.truth_FHWC[part], holes_FHW[part])
    return meters.values()


@pytest.mark.slow
def test_a_filled_hole_is_more_coherent_than_a_kept_object_and_a_flickering_one():
    clean = measured(CLIP.truth_FHWC)
    kept = np.where(CLIP.holes_FHW[..., None], np.array([250, 20, 20]), CLIP.truth_FHWC).astype(np.uint8)
    assert measured(kept)["removal_spatial"] < clean["removal_spatial"] - 0.1
    levels = np.array([0, 200, 0])[:, None, None, None]
    flickering = np.where(CLIP.holes_FHW[..., None], levels, CLIP.truth_FHWC).astype(np.uint8)
    assert measured(flickering)["removal_temporal"] > clean["removal_temporal"] + 0.1


def test_without_a_hole_there_is_nothing_to_measure():
    assert all(np.isnan(value) for value in measured(CLIP.truth_FHWC, CLIP.holes_FHW & False).values())


def test_the_distance_of_sets_counts_marked_rows_alone():
    rng = np.random.default_rng(0)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.normal(size=(2, 6, 5)))
    marked = np.array([True, True, True, True, False, False])

    def k(x, y):
        return np.exp(-np.square(x[:, None] - y[None]).sum(-1) / (2 * 0.5**2)).mean()

    expected = np.sqrt(k(a[:4], a[:4]) + k(b[2:], b[2:]) - 2 * k(a[:4], b[2:]))
    assert kernel_distance(a, marked, b, marked[::-1]) == pytest.approx(expected, rel=1e-4)
    assert kernel_distance(a, marked, a, marked) == pytest.approx(0, abs=1e-3)


def test_the_square_around_a_hole_stays_in_the_frame():
    hole = np.zeros((64, 96), bool)
    hole[2:18, 76:92] = True
    square, cells = around_hole(np.zeros((64, 96, 3), np.uint8), jnp.asarray(hole), CFG)
    assert square.shape == (84, 84, 3) and cells.shape == (21, 21)
    assert cells.sum() == pytest.approx(21 * 21 / 4, rel=0.2) and cells[3, 16] and not cells[15, 5]
