"""Mask-selective token injection (VideoPainter, arXiv 2503.05639 section 3.2, equation 3).

After backbone block i, hint ``floor(i / ceil(L / G))`` is added to the BACKGROUND video tokens only:

    x_i[n] += scale * hint[floor(i / ceil(L / G))][n]   where no latent mask cell of token n is > 0

Ablation variants (`vp_jax.models.config.Injection`): inject into every token with any background ("partial") or into
every token ("all"); inject hint i after block i for i < G only ("first").
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.errors import UserError
from vp_jax.models.config import DEFAULT_INJECTION, Injection, InjectionSchedule
from vp_jax.models.dit import Extension
from vp_jax.sharding import constrain


def hint_schedule(layers: int, groups: int, schedule: InjectionSchedule = "grouped") -> np.ndarray:
    """Index of the hint each of ``layers`` blocks receives, int32 (L,); ``groups`` means none.

    Raises:
      UserError: unknown schedule, or no hints.
    """
    if groups < 1:
        raise UserError(f"{groups} hints for {layers} layers: a context encoder needs at least one block")
    index = np.arange(layers)
    if schedule == "grouped":
        return (index // -(-layers // groups)).astype(np.int32)
    if schedule == "first":
        return np.minimum(index, groups).astype(np.int32)
    raise UserError(f"injection schedule {schedule!r}: expected 'grouped' or 'first'")


def masked_tokens(mask_BThw: jax.Array, patch: int = 2, *, wholly: bool = False) -> jax.Array:
    """Video tokens with any masked latent cell, or ``wholly`` masked ones: (B, T, h, w) in {0, 1} -> bool (B, N)."""
    B, T, h, w = mask_BThw.shape
    cells = mask_BThw.reshape(B, T, h // patch, patch, w // patch, patch) > 0
    return (cells.all(axis=(3, 5)) if wholly else cells.any(axis=(3, 5))).reshape(B, -1)


def joint_mask(masked_BN: jax.Array, text_len: int, *, text: bool = False) -> jax.Array:
    """Token mask of the joint sequence, bool (B, S), from that of its video tokens; ``text`` on every text token.

    Concatenated, not padded: of two pads of one divided array, by True and by False, XLA's partitioner computes one
    and uses it for both (jaxlib 0.10.2; `tests.models.test_injection` holds the case).
    """
    front_BM = jnp.full((masked_BN.shape[0], text_len), text)
    return jnp.concatenate([front_BM, masked_BN], axis=1)


class InjectionExtension(Extension):
    """Adds hints to the backbone's video tokens.

    Args:
      hints_GBSD: `Branch.joint_hints`; the rows of text tokens are ignored.
      masked_BN: True on masked video tokens, from `masked_tokens`; on fully masked ones for ``partial``.
      injection: scale (the reference's ``conditioning_scale``) and ablation variants.
      layers: L of the backbone.
      text_len: M.
    """

    def __init__(
        self,
        hints_GBSD: jax.Array,
        masked_BN: jax.Array,
        injection: Injection = DEFAULT_INJECTION,
        *,
        layers: int,
        text_len: int,
    ):
        stopped_BN = jnp.zeros_like(masked_BN) if injection.tokens == "all" else masked_BN
        stopped_BS = joint_mask(stopped_BN, text_len, text=True)
        gated = jnp.where(stopped_BS[None, :, :, None], 0.0, hints_GBSD * injection.scale)
        # one zero hint at the end for blocks that receive none
        groups = hints_GBSD.shape[0]
        self._index_L = hint_schedule(layers, groups, injection.schedule)
        pad_groups = int(self._index_L.max() >= groups)
        self._hints_GBSD = constrain(jnp.pad(gated, ((0, pad_groups), (0, 0), (0, 0), (0, 0))), "hints")

    def per_layer(self) -> Any:
        """Number of the hint that each block receives."""
        return jnp.asarray(self._index_L)

    def after_block(self, layer: Any, x_BSD: jax.Array) -> jax.Array:
        """The state with the block's hint added."""
        hint_BSD = jax.lax.dynamic_index_in_dim(self._hints_GBSD, layer, keepdims=False)
        result: jax.Array = x_BSD + hint_BSD.astype(x_BSD.dtype)
        return result
