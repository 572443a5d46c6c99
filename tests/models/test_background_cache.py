"""Hole passes: equal to a full pass where nothing has changed or everything is near the hole; what they cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from vp_jax.models.background_cache import near_hole, places_near, room_near
from vp_jax.models.inpaint import Condition, predict, predict_near

GRID = (3, 2, 3)


@jax.jit
def passes(models, inputs, near_BP, later):
    """A full pass; a full and a hole pass after it, with latents that are ``later`` away."""
    noisy, *rest = inputs
    out = predict(*models, noisy, *rest, keep=True)
    full = predict(*models, noisy + later, *rest).sample
    return out, full, predict_near(*models, noisy + later, *rest, out.kept, near_BP)


def test_a_hole_grows_by_one_token_within_its_frame():
    masked = jnp.zeros((1, *GRID[:1], 4, 5), bool).at[0, 1, 1, 1].set(True).reshape(1, -1)
    grown = np.asarray(near_hole(masked, (3, 4, 5))).reshape(3, 4, 5)
    assert grown[1, :3, :3].all() and grown.sum() == 9
    numbers = places_near(masked, (3, 4, 5), 12)[0].tolist()
    assert numbers == [20, 21, 22, 25, 26, 27, 30, 31, 32, 60, 60, 60]


def test_places_are_sixteenths_of_the_tokens():
    assert [room_near(near, 320) for near in (0, 1, 20, 21, 319, 320)] == [20, 20, 20, 40, 320, 320]
    assert room_near(7, 7) == 7 and room_near(2, 7) == 2


@pytest.mark.slow
def test_a_hole_pass_right_after_a_full_one_gives_the_same_near_the_hole(models, inputs):
    """The latents are those of the full pass, so its keys and values are what a new pass would compute."""
    noisy, image, condition, text, t = inputs
    corner = Condition.of(condition.masked_BThwC, jnp.zeros((2, 3, 4, 6)).at[:, :, :2, :2].set(1))
    inputs = noisy, image, corner, text, t
    near_BP = places_near(corner.tokens_BN, GRID, 14)
    out, full, near = passes(models, inputs, near_BP, 0.0)
    there = np.zeros((2, 18), bool)
    for row, numbers in zip(there, np.asarray(near_BP)):
        row[numbers[numbers < 18]] = True
    cells = there.reshape(2, *GRID).repeat(2, axis=2).repeat(2, axis=3)
    assert there.sum() == 24 and (np.asarray(near_BP) == 18).any()
    np.testing.assert_array_equal(out.sample, full)
    assert relative_error(np.asarray(near)[cells], np.asarray(full)[cells]) < 1e-5
    assert not np.asarray(near)[~cells].any()
    _, full, near = passes(models, inputs, near_BP, 0.1)
    assert 1e-4 < relative_error(np.asarray(near)[cells], np.asarray(full)[cells]) < 0.3


@pytest.mark.slow
def test_where_every_token_is_near_the_hole_a_hole_pass_is_a_full_one_of_any_latents(models, inputs):
    near_BP = jnp.arange(18)[None].repeat(2, 0)
    _, full, near = passes(models, inputs, near_BP, 0.5)
    assert relative_error(near, full) < 1e-5


@pytest.mark.slow
def test_all_that_is_kept_is_read(models, inputs):
    near_BP = jnp.arange(14)[None].repeat(2, 0)
    kept = jax.jit(lambda inputs: predict(*models, *inputs, keep=True).kept)(inputs)
    assert kept.backbone.keys.shape == (5, 2, 21, 2, 16) and kept.branch.values.shape == (2, 2, 21, 2, 16)
    velocity = jax.jit(lambda kept: predict_near(*models, *inputs, kept, near_BP))
    leaves, tree = jax.tree.flatten(kept)
    for number in range(len(leaves)):
        changed = tree.unflatten([leaf * (1 + (number == k)) for k, leaf in enumerate(leaves)])
        assert relative_error(velocity(changed), velocity(kept)) > 1e-3, number
