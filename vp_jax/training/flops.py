"""Floating-point operations of a training step, for the model's share of the chip's peak (MFU, arXiv 2204.02311 B).

Matmuls and attention, 1 multiply-add = 2. With S = M + N tokens, width D and S' keys per query, a block of one example
does ``24 S D^2`` (q, k, v, out and the feed-forward of width 4D) and ``4 S S' D`` of attention. Backward costs, in
units of forward,

    matmul with a frozen weight    1      the derivative by its input
    matmul with a trained weight   2      and by the weight
    attention                      2      derivatives by queries, keys, values

Recomputation (remat) is work that the model does not need: it is not counted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from vp_jax.models.config import DiTConfig
from vp_jax.training.stages.scratch import BackboneStage, VAEStage
from vp_jax.training.stages.single_branch import SingleBranchStage
from vp_jax.training.stages.videopainter import BranchStage

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
"""Dense bfloat16 operations per second of a chip, by the start of its `jax.Device.device_kind` (makers' data)."""


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


def transformer_flops(cfg: DiTConfig, tokens: int, *, key_sets: int = 1) -> Flops:
    """Forward pass of one example: blocks, patches, head.

    Args:
      tokens: N, text not included.
      key_sets: keys per token; 2 with the ID adapter's masked keys.
    """
    joint = tokens + cfg.max_text_len
    block = 24 * joint * cfg.dim**2 + 24 * cfg.time_dim * cfg.dim
    ends = 2 * tokens * cfg.dim * (cfg.patch_values + cfg.out_channels * (cfg.patch_t or 1) * cfg.patch**2)
    text = 2 * cfg.max_text_len * cfg.text_dim * cfg.dim
    return Flops(cfg.num_layers * block + ends + text, cfg.num_layers * 4 * joint * key_sets * joint * cfg.dim)


def step_flops(stage: Any, batch: int, frames: int, rows: int, columns: int) -> float | None:
    """Operations of one training step on ``batch`` examples of latents (T, h, w); ``None``: a VAE's are not counted.

    A text encoder that learns with its backbone, small beside it, is left out.
    """
    if isinstance(stage, VAEStage):
        return None
    cfg = stage.backbone
    tokens = video_tokens(cfg, frames, rows, columns)
    if isinstance(stage, BackboneStage | SingleBranchStage):
        return 3 * batch * sum(transformer_flops(cfg, tokens))
    branch = transformer_flops(stage.branch.dit, tokens)
    hints = stage.branch.dit.num_layers * 2 * tokens * cfg.dim**2
    if isinstance(stage, BranchStage):
        backbone = transformer_flops(cfg, tokens)
        trained = 3 * (branch.matmul + hints) + 3 * branch.attention
        return batch * (2 * backbone.matmul + 3 * backbone.attention + trained)
    backbone = transformer_flops(cfg, tokens, key_sets=2)
    adapter = cfg.num_layers * 4 * 4 * (tokens + cfg.max_text_len) * cfg.dim * stage.lora.rank
    frozen = branch.matmul + branch.attention + hints
    return batch * (2 * backbone.matmul + 3 * backbone.attention + 3 * adapter + frozen)
