"""Floating-point operations of a training step, for the model's share of the chip's peak (MFU, arXiv 2204.02311 B).

Matmuls and attention, 1 multiply-add = 2. With S = M + N tokens of width D, a block of one example does
``24 S D^2`` (q, k, v, out and the feed-forward of width 4D) and ``4 S^2 D`` of attention. Backward costs, in
units of forward,

    matmul with a frozen weight    1      the derivative by its input
    matmul with a trained weight   2      and by the weight
    attention                      2      derivatives by queries, keys, values

Recomputation (remat) is work that the model does not need: it is not counted. A stage knows what is trained: its
``flops`` uses the counts of this file.
"""

from __future__ import annotations

from typing import NamedTuple

from vp_jax.models.config import BranchConfig, DiTConfig

PEAK = {
    "TPU v4": 275e12,
    "TPU v5p": 459e12,
    "TPU v5": 459e12,
    "TPU v5 lite": 197e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA A100": 312e12,
}
"""Dense bfloat16 operations per second of a chip (vendor specifications), by the start of `jax.Device.device_kind`."""


def peak_flops(device_kind: str) -> float | None:
    """Peak of a chip, ``None`` if it is not known: the longest name that the kind starts with."""
    known = [name for name in PEAK if device_kind.startswith(name)]
    return PEAK[max(known, key=len)] if known else None


def video_tokens(cfg: DiTConfig, frames: int, rows: int, columns: int) -> int:
    """N of latents (T, h, w)."""
    return frames // (cfg.patch_t or 1) * (rows // cfg.patch) * (columns // cfg.patch)


class Flops(NamedTuple):
    """Operations of a forward pass."""

    matmul: float
    attention: float


def transformer_flops(cfg: DiTConfig, tokens: int) -> Flops:
    """Forward pass of one example: blocks, patches, head.

    Args:
      cfg: of the transformer.
      tokens: N, text not included.
    """
    joint = tokens + cfg.max_text_len
    block = 24 * joint * cfg.dim**2 + 24 * cfg.time_dim * cfg.dim
    ends = 2 * tokens * cfg.dim * (cfg.patch_values + cfg.out_channels * (cfg.patch_t or 1) * cfg.patch**2)
    text = 2 * cfg.max_text_len * cfg.text_dim * cfg.dim
    return Flops(cfg.num_layers * block + ends + text, cfg.num_layers * 4 * joint**2 * cfg.dim)


def hint_flops(cfg: BranchConfig, tokens: int) -> float:
    """Forward pass of one example through the linears that make hints of the context encoder's states."""
    return cfg.dit.num_layers * 2 * tokens * cfg.dit.dim**2
