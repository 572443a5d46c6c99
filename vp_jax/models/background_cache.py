"""Passes that compute the tokens of the hole and around it alone, with the rest as the last full pass left it.

    full pass    every token; the keys and values of every block are kept
    hole pass    text and the tokens near the hole: their queries look at their own new keys and values, and at the
                 kept ones of all other tokens

Both are passes of the context encoder and of the backbone. Where all tokens are near the hole, a hole pass is a full
one. What it gives for the other tokens is 0 and not to be read.

The tokens near the hole stand in a fixed number of places (`room_near`), so that holes of about one size share
programs; a place that is left holds number N, which is no token. Keys and values take ``2 (L + G) B S D`` numbers: 9.6
GB for each prompt of a window of CogVideoX-5B at 49 frames of 480 x 720 in bfloat16.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.models.dit import Block, Context, Extension
from vp_jax.models.id_resample import places

TOKENS_AROUND = 1
"""Tokens by which the hole grows on each of its sides, within each latent frame."""

_ROOMS = 16
"""Numbers of places that there are for one size of video."""


class KeysValues(NamedTuple):
    """Finished keys and values (B, S, K, A) of a block, or with a leading axis of all blocks."""

    keys: jax.Array
    values: jax.Array


class KeptBackground(NamedTuple):
    """What a full pass leaves to the hole passes after it: keys and values of all blocks.

    Attributes:
      backbone: (L, B, S, K, A) each.
      branch: of the context encoder, (G, B, S, K, A) each.
    """

    backbone: KeysValues
    branch: KeysValues


def near_hole(masked_BN: jax.Array, grid: tuple[int, int, int]) -> jax.Array:
    """Tokens of the hole grown by `TOKENS_AROUND`, bool (B, N).

    Args:
      masked_BN: tokens of the hole.
      grid: frames, rows and columns of the tokens.
    """
    window, one = (1, 1, 2 * TOKENS_AROUND + 1, 2 * TOKENS_AROUND + 1), (1, 1, 1, 1)
    masked = masked_BN.reshape(-1, *grid)
    grown: jax.Array = jax.lax.reduce_window(masked, np.False_, jax.lax.bitwise_or, window, one, "SAME")
    return grown.reshape(masked_BN.shape)


def places_near(masked_BN: jax.Array, grid: tuple[int, int, int], room: int) -> jax.Array:
    """Numbers of the video tokens near the hole, int32 (B, room), in order; N in the places that are left."""
    return places(near_hole(masked_BN, grid), room)


def room_near(near: int, tokens: int) -> int:
    """Places for ``near`` of ``tokens`` video tokens: a multiple of a sixteenth of them."""
    step = -(-tokens // _ROOMS)
    return min(-(-max(near, 1) // step) * step, tokens)


class KeepingExtension(Extension):
    """An extension without an attention of its own, whose keys and values are kept, see `DiTOutput.kept`.

    Args:
      inner: extension whose other hooks apply.
    """

    def __init__(self, inner: Extension):
        self._inner = inner

    def per_layer(self) -> Any:
        """Values of the inner extension."""
        return self._inner.per_layer()

    def after_block(self, layer: Any, x_BSD: jax.Array) -> jax.Array:
        """State after the hook of the inner extension."""
        return self._inner.after_block(layer, x_BSD)

    def attended(self, layer: Any, block: Block, y_BSD: jax.Array, ctx: Context) -> tuple[jax.Array, KeysValues]:
        """Plain attention, and what a hole pass needs of it."""
        attn = block.attn
        raw_k, v = attn.raw_keys_values(y_BSD)
        k = attn.finish_keys(raw_k, ctx.table)
        return attn.project_out(attn.attend(attn.queries(y_BSD, ctx.table), k, v)), KeysValues(k, v)


class HoleExtension(Extension):
    """Attention of chosen tokens over the kept keys and values, their own replaced by new ones.

    Args:
      inner: extension of the chosen tokens whose other hooks apply.
      kept: of the last full pass, with a leading layer axis.
      numbers_BP: numbers of the chosen tokens in the joint sequence; S in places that are left.
    """

    def __init__(self, inner: Extension, kept: KeysValues, numbers_BP: jax.Array):
        self._inner, self._kept, self._numbers_BP = inner, kept, numbers_BP

    def per_layer(self) -> Any:
        """Values of the inner extension, and the kept keys and values."""
        return self._inner.per_layer(), self._kept

    def after_block(self, layer: Any, x_BSD: jax.Array) -> jax.Array:
        """State after the hook of the inner extension."""
        return self._inner.after_block(layer[0], x_BSD)

    def attention(self, layer: Any, block: Block, y_BSD: jax.Array, ctx: Context) -> jax.Array:
        """Attention of the chosen tokens, see the module docstring."""
        attn = block.attn
        raw_k, v = attn.raw_keys_values(y_BSD)
        new = attn.finish_keys(raw_k, ctx.table), v
        k, v = (_replaced(kept, rows, self._numbers_BP) for kept, rows in zip(layer[1], new))
        return attn.project_out(attn.attend(attn.queries(y_BSD, ctx.table), k, v))


def _replaced(kept_BSKA: jax.Array, rows_BPKA: jax.Array, numbers_BP: jax.Array) -> jax.Array:
    """Kept keys or values with new rows in the places of their tokens; rows without a token are dropped."""
    example_B1 = jnp.arange(len(kept_BSKA))[:, None]
    return kept_BSKA.at[example_B1, numbers_BP].set(rows_BPKA, mode="drop")
