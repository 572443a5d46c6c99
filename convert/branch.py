"""VideoPainter context encoder: table and description.

The file also holds tensors that the forward pass never reads (`IGNORED`). They stay out of the model, are kept in
a side file, and return on export so that the original program loads what we write.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from vp_jax.convert import dit
from vp_jax.convert.engine import Rule, Shape
from vp_jax.errors import UserError
from vp_jax.models.config import BranchConfig
from vp_jax.reading import show

RULES: list[Rule] = [
    *dit.EMBED_RULES,
    *dit.BLOCK_RULES,
    Rule(r"branch_blocks\.(\d+)\.weight", "zero/kernel[{0}]", "linear"),
    Rule(r"branch_blocks\.(\d+)\.bias", "zero/bias[{0}]"),
]

IGNORED: list[str] = [r"norm_final\..+", r"norm_out\..+", r"proj_out\..+", r"branch_x_embedder\..+"]

_SWITCHES = {"wo_text": "a context encoder without text tokens", "id_pool_resample_learnable": "a learnable resampler"}


def config_from_torch(values: dict[str, Any]) -> BranchConfig:
    """Description from ``config.json``.

    Its ``in_channels`` is the backbone's (32 for I2V, 16 for T2V); the patch embedding takes noisy and masked-video
    latents and the mask, ``2 C + 1`` channels.

    Raises:
      UserError: a value or a field that no released context encoder has.
    """
    for key, what in _SWITCHES.items():
        if values.get(key):
            raise UserError(
                f"branch config {key} = {show(repr(values[key]))[:60]}: {what} is not supported, expected false"
            )
    cfg = dit.config_from_torch(values, "branch")
    return BranchConfig(dit=dataclasses.replace(cfg, in_channels=2 * cfg.out_channels + 1))


def config_to_torch(cfg: BranchConfig) -> dict[str, Any]:
    """Inverse of `config_from_torch`; only I2V backbones have learned positions (their ``in_channels`` is doubled)."""
    latents = cfg.dit.out_channels
    return {
        **dit.config_to_torch(cfg.dit),
        "_class_name": "CogvideoXBranchModel",
        "wo_text": False,
        "in_channels": 2 * latents if cfg.dit.learned_positions else latents,
    }


def torch_shapes(cfg: BranchConfig) -> dict[str, Shape]:
    """PyTorch shapes that our layout does not show."""
    return dit.torch_shapes(cfg.dit)


def unused_tensors(cfg: BranchConfig, dtype: Any) -> dict[str, np.ndarray]:
    """The tensors of `IGNORED` for an encoder that was not converted but trained here: identity norms, zero linears."""
    width, values = cfg.dit.dim, cfg.dit.out_channels * (cfg.dit.patch_t or 1) * cfg.dit.patch**2
    linears = {
        "norm_out.linear": (2 * width, cfg.dit.time_dim),
        "proj_out": (values, width),
        "branch_x_embedder": (width, config_to_torch(cfg)["in_channels"]),
    }
    tensors = {f"{name}.weight": np.zeros(shape, dtype) for name, shape in linears.items()}
    tensors |= {f"{name}.bias": np.zeros(shape[0], dtype) for name, shape in linears.items()}
    for name in ("norm_final", "norm_out.norm"):
        tensors |= {f"{name}.weight": np.ones(width, dtype), f"{name}.bias": np.zeros(width, dtype)}
    return tensors
