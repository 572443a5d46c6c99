"""Coherence of a removal, with a stand-in for DINOv2: the mean colour of each patch."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.eval.made_clips import made_clip
from vp_jax import trees
from vp_jax.eval.removal import (
    Square,
    parts_of,
    spatial_coherence,
    square_around,
    temporal_distance,
    touched_cells,
    window_patches,
)
from vp_jax.eval.scores import SCORES, Meters
from vp_jax.eval.weights import LoadedNetwork
from vp_jax.models.metrics.dino import DinoConfig

CFG = DinoConfig(image=84, patch=4)
CLIP = made_clip(frames=3)
CELLS = 21


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


def unit_features(seed):
    x = np.random.default_rng(seed).normal(size=(CELLS * CELLS, 6))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def mmd(a, b):
    """The published distance, pair by pair in float64."""

    def k(x, y):
        return np.exp(-np.square(x[:, None] - y[None]).sum(-1) / 200).mean()

    return 1000 * (k(a, a) + k(b, b) - 2 * k(a, b))


def corners():
    """A window has 21 / 4 = 5 patches on a side and moves by 21 / 8 = 2."""
    return [(row, column) for row in range(0, 17, 2) for column in range(0, 17, 2)]


def in_window(x, row, column):
    return x.reshape(CELLS, CELLS, *x.shape[1:])[row : row + 5, column : column + 5].reshape(25, *x.shape[1:])


def test_spatial_coherence_is_the_published_one():
    features, hole = unit_features(0), np.zeros((CELLS, CELLS), bool)
    hole[4:15, 3:17] = True
    found = []
    for corner in corners():
        own, marked = in_window(features, *corner), in_window(hole.reshape(-1), *corner)
        if marked.sum() > 5 and (~marked).sum() > 5:
            found.append(mmd(own[marked], own[~marked]))
        elif marked.all():
            found.append(mmd(own, features[~hole.reshape(-1)]))
    assert len(found) > 20
    value = spatial_coherence(jnp.asarray(features, jnp.float32), hole.reshape(-1), window_patches(CELLS))
    assert value == pytest.approx(np.exp(-np.mean(found) / 3), rel=1e-4)


def test_temporal_distance_is_the_published_one():
    before, after = unit_features(0), unit_features(1)
    shared = np.zeros((CELLS, CELLS), bool)
    shared[4:15, 3:10] = True
    found = []
    for corner in corners():
        marked = in_window(shared.reshape(-1), *corner)
        if marked.sum() >= 5:
            found.append(mmd(in_window(before, *corner)[marked], in_window(after, *corner)[marked]))
    value = temporal_distance(*(jnp.asarray(x, jnp.float32) for x in (before, after)), shared.reshape(-1),
                              window_patches(CELLS))  # fmt: skip
    assert value == pytest.approx(np.mean(found), rel=1e-4)
    same = jnp.asarray(before, jnp.float32)
    assert temporal_distance(same, same, shared.reshape(-1), window_patches(CELLS)) == pytest.approx(0, abs=1e-3)


def test_the_square_has_a_margin_of_a_third_and_stays_in_the_frame():
    hole = np.zeros((64, 96), bool)
    hole[20:35, 40:58] = True
    assert square_around(hole) == Square(12, 34, 30)
    hole[2:18, 76:92] = True
    assert square_around(hole & (np.arange(96) > 60)) == Square(0, 74, 20), "two pixels to the edge, margin of two"
    assert square_around(np.ones((64, 96), bool)).side == 64


def test_small_parts_of_a_hole_are_left_out_unless_there_is_nothing_else():
    hole = np.zeros((64, 96), bool)
    hole[2:6, 2:6] = True
    assert [part.sum() for part in parts_of(hole)] == [16]
    hole[20:40, 20:40] = True
    assert [part.sum() for part in parts_of(hole)] == [400]
    assert parts_of(hole & False) == []


def test_a_patch_that_a_hole_touches_is_hole():
    hole = np.zeros((84, 84), bool)
    hole[7, 8] = True
    cells = touched_cells(Square(0, 0, 84), hole, CFG)
    assert cells.shape == (21, 21) and cells.sum() == 1 and cells[1, 2]
