"""Inpainting-region ID resampling (VideoPainter, arXiv 2503.05639 section 3.3): a second set of keys and values.

With the adapter (LoRA on q, k, v, out; see `vp_jax.models.lora`), attention runs over [k, k'] and [v, v'] with

    window 0, or clip weight c = 0:   k' = m * to_k(y)          v' = m * to_v(y)          own tokens
    later windows, c > 0:             k' = c * m * to_k(y_prev) v' = c * m * to_v(y_prev) previous window's states

where m is 1 on masked video tokens, y is the modulated input of the block, and y_prev is the previous window's state
after the same block, passed through the norm of this block with the current time. k' then passes key norm and rotation
like k. The k' of an unmasked token is therefore the bias of the norm, rotated: the token takes part in the softmax and
contributes zero. The released weights were trained this way (docs/model.md, "ID resampling").

Most of these keys are never made. Own masked tokens have k' = k and v' = v, so they count twice in one softmax over the
own keys; of the previous window the keys of the masked tokens alone are appended; and what unmasked tokens add to the
denominator is a sum in closed form (`vp_jax.models.zero_tokens`).

Without the adapter, c mixes two attentions: ``(1 - c) attn(q, k, v) + c attn(q, k_prev, v_prev)``, unmasked.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vp_jax.models.attention import attend_again
from vp_jax.models.dit import Block, Context, Extension
from vp_jax.models.rope import rotation_at
from vp_jax.models.zero_tokens import zero_tokens


class PreviousWindow(NamedTuple):
    """States of a window that the next window attends to.

    With the adapter the states of unmasked tokens are never read, so ``states_LBSD`` may hold the masked tokens alone,
    in their order, in the first of fewer than S places; what is left is not read.

    Attributes:
      states_LBSD: joint states after every block, hint included, at the last denoising step; see `places`.
      masked_BS: True on masked tokens, False on text tokens.
    """

    states_LBSD: jax.Array
    masked_BS: jax.Array


@dataclasses.dataclass(frozen=True)
class Resample:
    """Description of the second set of keys and values of a forward pass.

    Attributes:
      adapter: whether the LoRA of the ID adapter is attached to the backbone.
      masked_BS: True on the masked tokens of this window, False on text tokens.
      previous: states of the previous window; ``None`` to use this window's tokens.
      weight: clip weight c in [0, 1] of the previous window.
    """

    adapter: bool
    masked_BS: jax.Array
    previous: PreviousWindow | None = None
    weight: float | jax.Array = 0.0


class ResampleExtension(Extension):
    """Extension that adds the keys and values of `Resample` to another extension.

    Args:
      inner: extension whose other hooks apply.
      resample: the second set of keys and values.
      record_states: record the state after every block.
      room: places for the states of masked tokens; ``None``: those of all tokens are recorded.
    """

    def __init__(self, inner: Extension, resample: Resample, *, record_states: bool = False, room: int | None = None):
        self._inner, self._resample, self._record = inner, resample, record_states
        self._own_BP = None if room is None else places(resample.masked_BS, room)
        previous, self._before_BP = resample.previous, None
        if previous is not None:
            room = previous.states_LBSD.shape[2]
            self._compact = room < previous.masked_BS.shape[1]
            self._before_BP = places(previous.masked_BS, room)

    def per_layer(self) -> Any:
        """Values of the inner extension, and the previous window's state after each block."""
        previous = self._resample.previous
        return self._inner.per_layer(), None if previous is None else previous.states_LBSD

    def after_block(self, layer: Any, x_BSD: jax.Array) -> jax.Array:
        """State after the hook of the inner extension."""
        return self._inner.after_block(layer[0], x_BSD)

    def record(self, layer: Any, x_BSD: jax.Array) -> Any:
        """The state, if states are recorded, of the tokens that are kept."""
        if not self._record:
            return None
        if self._own_BP is None:
            return x_BSD
        return jnp.take_along_axis(x_BSD, self._own_BP[:, :, None], axis=1, mode="fill", fill_value=0)

    def attention(self, layer: Any, block: Block, y_BSD: jax.Array, ctx: Context) -> jax.Array:
        """Attention over both sets of keys and values, see the module docstring."""
        resample, attn, state_BSD = self._resample, block.attn, layer[1]
        if not resample.adapter and state_BSD is None:
            return self._inner.attention(layer[0], block, y_BSD, ctx)
        q = attn.queries(y_BSD, ctx.table)
        raw_k, v = attn.raw_keys_values(y_BSD)
        pairs = [attn.finish_keys(raw_k, ctx.table), v]
        if not resample.adapter:
            y_prev, _ = block.norm1(state_BSD.astype(y_BSD.dtype), ctx.emb_BE, ctx.text_len)
            raw_k2, v2 = attn.raw_keys_values(y_prev)
            c = jnp.asarray(resample.weight, q.dtype)
            mixed = (1 - c) * attn.attend(q, *pairs) + c * attn.attend(q, attn.finish_keys(raw_k2, ctx.table), v2)
            return attn.project_out(mixed)
        masked_BS = resample.masked_BS
        if state_BSD is not None:
            assert resample.previous is not None and self._before_BP is not None
            masked_BS = resample.previous.masked_BS
            pairs += self._kept(block, state_BSD.astype(y_BSD.dtype), ctx)
        assert attn.norm_k.bias is not None
        zeros = zero_tokens(attn.norm_k.bias[...], masked_BS, ctx.table)
        grid = None if ctx.table is None else ctx.table.grid
        return attn.project_out(attend_again(q, pairs, masked_BS, zeros, grid, backend=attn.cfg.attention))

    def _kept(self, block: Block, state_BSD: jax.Array, ctx: Context) -> list[jax.Array]:
        """Keys and values of the previous window's masked tokens (B, P, K, A), none of which is text."""
        attn, numbers_BP = block.attn, self._before_BP
        assert numbers_BP is not None
        if not self._compact:
            state_BSD = jnp.take_along_axis(state_BSD, numbers_BP[:, :, None], axis=1, mode="clip")
        y_prev, _ = block.norm1(state_BSD, ctx.emb_BE, 0)
        k2, v2 = (a * jnp.asarray(self._resample.weight, a.dtype) for a in attn.raw_keys_values(y_prev))
        return [attn.finish_keys(k2, ctx.table and rotation_at(ctx.table, numbers_BP)), v2]


def places(masked_BS: jax.Array, room: int) -> jax.Array:
    """Number of every masked token, int32 (B, room), in order; S, which is no token, in the places that are left."""
    S = masked_BS.shape[1]
    return jax.vmap(lambda masked_S: jnp.nonzero(masked_S, size=room, fill_value=S)[0].astype(jnp.int32))(masked_BS)


def room_for(tokens: int) -> int:
    """Places for ``tokens`` masked tokens: 8, 12, 16, 24, 32, 48 ..., so that clips with like holes share programs."""
    size = 8
    while size < tokens:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size
