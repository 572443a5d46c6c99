"""What tokens with zero values add to the softmax of ID resampling: the sum of the exponentials of their logits.

The key of a token whose projection is zero is the bias b of the key norm, rotated to the token's position j. The sum

    Z(q) = sum over unmasked tokens j of exp(q . R_j b / sqrt(A))

needs no keys one by one: text is not rotated, and the rotation of video is in three separate parts of the head for
frame, row and column, so that ``q . R_j b = a_t[frame] + a_h[row] + a_w[column]`` and the sum over the unmasked
positions of a T x H x W grid is a small matrix product per query: T + H + W exponentials instead of T H W.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.models import rope

_LARGEST = 2**24
"""Values of the largest array that exists at a time, in one block of queries."""


class ZeroTokens(NamedTuple):
    """Keys of the tokens with zero values. Arrays start with the batch, so that a mesh can divide them.

    Attributes:
      rows_BPA: the bias, then its frame, row and column parts, each rotated to every place of its axis, zero elsewhere;
        float32, P = 1 + T + H + W. Without rotation the bias alone.
      unmasked_BS: 1 on the tokens whose values are zero, float32.
    """

    rows_BPA: jax.Array
    unmasked_BS: jax.Array


def zero_tokens(bias_A: jax.Array, masked_BS: jax.Array, table: rope.Rotation | None) -> ZeroTokens:
    """The unmasked tokens of a joint sequence.

    Args:
      bias_A: bias of the key norm.
      masked_BS: bool, True on masked tokens.
      table: rotation of the joint sequence; ``None`` for models without.
    """
    bias = bias_A.astype(jnp.float32)
    rows = bias[None]
    if table is not None:
        frames, height, width = table.grid
        text, A = table.cos.shape[0] - math.prod(table.grid), bias.shape[0]
        part_A = np.repeat(np.arange(3), [A // 4, A * 3 // 8, A * 3 // 8])
        places = [text + np.arange(n) * step for n, step in ((frames, height * width), (height, width), (width, 1))]
        parts = [
            rope.rotate(
                jnp.broadcast_to(jnp.where(part_A == axis, bias, 0.0), (1, len(at), 1, A)),
                rope.Rotation(table.cos[at], table.sin[at], table.grid),
            )[0, :, 0]
            for axis, at in enumerate(places)
        ]
        rows = jnp.concatenate([rows, *parts])
    batch = masked_BS.shape[0]
    return ZeroTokens(jnp.broadcast_to(rows, (batch, *rows.shape)), 1.0 - masked_BS.astype(jnp.float32))


def log_sum(q_BSKA: jax.Array, zeros: ZeroTokens, grid: tuple[int, int, int] | None) -> jax.Array:
    """``log Z`` of every query and head, float32 (B, S, K).

    At least one unmasked token is text, or the model has no rotation.

    Args:
      q_BSKA: finished queries of all tokens, or of the heads of one device.
      zeros: the tokens.
      grid: frames, rows and columns of the video tokens; ``None`` for models without rotation.
    """
    B, S, K, A = q_BSKA.shape
    widest = 1 if grid is None else grid[0] * grid[1]
    count = max(1, math.ceil(B * S * K * widest / _LARGEST))
    if count == 1:
        return _log_sum(q_BSKA, zeros, grid)
    size = math.ceil(S / count)
    padded = jnp.pad(q_BSKA, ((0, 0), (0, count * size - S), (0, 0), (0, 0)))
    blocks = padded.reshape(B, count, size, K, A).swapaxes(0, 1)
    # the largest array is made again in the backward pass
    found: jax.Array = jax.lax.map(jax.checkpoint(lambda q: _log_sum(q, zeros, grid)), blocks)
    return found.swapaxes(0, 1).reshape(B, count * size, K)[:, :S]


def _log_sum(q_BSKA: jax.Array, zeros: ZeroTokens, grid: tuple[int, int, int] | None) -> jax.Array:
    q = q_BSKA.astype(jnp.float32) * q_BSKA.shape[-1] ** -0.5
    a_BSKP = jnp.einsum("bska,bpa->bskp", q, zeros.rows_BPA, precision="highest")
    plain = a_BSKP[..., 0]
    if grid is None:
        return plain + jnp.log(zeros.unmasked_BS.sum(axis=1))[:, None, None]
    frames, height, width = grid
    text = zeros.unmasked_BS.shape[1] - math.prod(grid)
    # of a mask that is a constant of the program and nowhere set, XLA simplifies the product below wrongly
    # (jaxlib 0.10.2; `tests.models.test_zero_tokens` holds the case)
    unmasked_BS = jax.lax.optimization_barrier(zeros.unmasked_BS)
    words_B, video_BS = unmasked_BS[:, :text].sum(axis=1), unmasked_BS[:, text:]
    tops, exps = [], []
    for logits in jnp.split(a_BSKP[..., 1:], np.cumsum(grid)[:-1], axis=-1):
        tops.append(jax.lax.stop_gradient(logits.max(axis=-1)))
        exps.append(jnp.exp(logits - tops[-1][..., None]))
    columns = jnp.einsum("bskw,btw->bskt", exps[2], video_BS.reshape(-1, frames * height, width), precision="highest")
    per_frame = (columns.reshape(*columns.shape[:3], frames, height) * exps[1][..., None, :]).sum(axis=-1)
    video = (per_frame * exps[0]).sum(axis=-1)
    top, words = tops[0] + tops[1] + tops[2], jax.lax.stop_gradient(plain)
    largest = jnp.where(video > 0, jnp.maximum(top, words), words)
    total = video * jnp.exp(jnp.minimum(top - largest, 0.0)) + words_B[:, None, None] * jnp.exp(plain - largest)
    return largest + jnp.log(total)
