"""Mask-selective injection: the schedule for any L and G, the token mask, what is touched and what is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import sharding
from vp_jax.errors import UserError
from vp_jax.models.config import Injection
from vp_jax.models.injection import InjectionExtension, hint_schedule, joint_mask, masked_tokens


@pytest.mark.parametrize("layers", [1, 2, 4, 5, 7, 30, 42])
@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_schedule_is_floor_i_over_ceil_l_over_g(layers, groups):
    want = [i // ((layers + groups - 1) // groups) for i in range(layers)]
    assert hint_schedule(layers, groups).tolist() == want
    assert max(want) < groups


def test_uneven_schedules_spelled_out():
    assert hint_schedule(5, 2).tolist() == [0, 0, 0, 1, 1]
    assert hint_schedule(4, 3).tolist() == [0, 0, 1, 1]  # the third hint is never used
    assert hint_schedule(7, 3).tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_first_layers_only():
    assert hint_schedule(5, 2, "first").tolist() == [0, 1, 2, 2, 2]  # 2 = none
    assert hint_schedule(2, 3, "first").tolist() == [0, 1]


def test_a_token_is_masked_if_any_of_its_cells_is():
    mask = np.zeros((1, 2, 4, 6), np.float32)
    mask[0, 1, 3, 2] = 1  # frame 1, token row 1, token column 1
    got = np.asarray(masked_tokens(jnp.asarray(mask))).reshape(2, 2, 3)
    assert got[1, 1, 1] and got.sum() == 1
    mask[0, 0, :2, 2:5] = 1  # frame 0, row 0: token 1 wholly, the left half of token 2
    got = np.asarray(masked_tokens(jnp.asarray(mask), wholly=True)).reshape(2, 2, 3)
    assert got[0, 0, 1] and got.sum() == 1


def test_text_is_masked_only_where_that_is_requested():
    got = joint_mask(jnp.array([[True, False, True]]), 2)
    assert got.tolist() == [[False, False, True, False, True]]
    got = joint_mask(jnp.array([[True, False, True]]), 2, text=True)
    assert got.tolist() == [[True, True, True, False, True]]


@pytest.mark.parametrize("context", [2, 4])
def test_both_masks_of_one_divided_sequence_keep_their_text(context):
    """XLA's partitioner computes one of two pads of an array; a mesh then masks the text for the ID adapter."""
    mesh = sharding.make_mesh({"context": context}, jax.devices()[:context])

    @jax.jit
    def masks(masked_BN):
        masked_BN = sharding.constrain(masked_BN, "tokens")
        return [sharding.constrain(joint_mask(masked_BN, 6, text=text), "tokens") for text in (True, False)]

    masked = np.arange(72)[None] % 3 == 0
    with jax.set_mesh(mesh):
        stopped, own = masks(masked)
    assert np.asarray(stopped)[0, :6].all() and not np.asarray(own)[0, :6].any()
    assert (np.asarray(stopped)[:, 6:] == masked).all() and (np.asarray(own)[:, 6:] == masked).all()


def test_hints_reach_background_video_tokens_only():
    joint = jax.random.normal(jax.random.key(0), (2, 1, 6, 3))
    hints = joint[:, :, 2:]
    masked = jnp.array([[True, False, False, True]])
    x = jax.random.normal(jax.random.key(1), (1, 6, 3))
    for layer, group in enumerate([0, 0, 1]):
        ext = InjectionExtension(joint, masked, Injection(scale=0.5), layers=3, text_len=2)
        moved = np.asarray(ext.after_block(ext.per_layer()[layer], x) - x)[0]
        np.testing.assert_array_equal(moved[[0, 1, 2, 5]], 0)
        np.testing.assert_allclose(moved[[3, 4]], 0.5 * hints[group, 0, 1:3], atol=1e-6)
    everywhere = InjectionExtension(joint, masked, Injection(tokens="all"), layers=3, text_len=2)
    moved = np.asarray(everywhere.after_block(2, x) - x)[0]
    np.testing.assert_array_equal(moved[:2], 0)
    np.testing.assert_allclose(moved[2:], hints[1, 0], atol=1e-6)


def test_layers_without_a_hint_are_left_alone():
    first = Injection(schedule="first")
    ext = InjectionExtension(jnp.ones((1, 1, 3, 3)), jnp.zeros((1, 2), bool), first, layers=3, text_len=1)
    x = jnp.zeros((1, 3, 3))
    assert [float(ext.after_block(i, x).sum()) for i in ext.per_layer()] == [6.0, 0.0, 0.0]


def test_unknown_variants_are_named():
    with pytest.raises(UserError, match="schedule 'last'"):
        hint_schedule(4, 2, "last")
    with pytest.raises(UserError, match="tokens 'hole'"):
        Injection(tokens="hole")
    with pytest.raises(UserError, match="schedule 'last'"):
        Injection(schedule="last")
    for scale in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match=f"injection scale {scale}: expected 0 or more"):
            Injection(scale)
    with pytest.raises(UserError, match="0 hints"):
        hint_schedule(4, 0)
