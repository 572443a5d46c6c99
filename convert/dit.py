"""CogVideoX transformer (2B, 5B, 5B-I2V, 1.5-5B, 1.5-5B-I2V): table and description.

Source of the names: `CogVideoXTransformer3DModel` checkpoints. CogVideoX 1.0 projects patches by a convolution, 1.5
by a linear; both flatten to rows ordered channel, (frame), row, column.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from vp_jax.convert.engine import Rule, Shape
from vp_jax.convert.original import Original
from vp_jax.errors import UserError
from vp_jax.models.config import DiTConfig

_BLOCK = r"transformer_blocks\.(\d+)"


def _linear(source: str, target: str, index: str = "") -> list[Rule]:
    return [
        Rule(rf"{source}\.weight", f"{target}/kernel{index}", "linear"),
        Rule(rf"{source}\.bias", f"{target}/bias{index}"),
    ]


def _norm(source: str, target: str, index: str = "") -> list[Rule]:
    return [Rule(rf"{source}\.weight", f"{target}/scale{index}"), Rule(rf"{source}\.bias", f"{target}/bias{index}")]


EMBED_RULES = [
    Rule(r"patch_embed\.proj\.weight", "patch_embed/proj/kernel", "conv2d_as_linear"),
    Rule(r"patch_embed\.proj\.bias", "patch_embed/proj/bias"),
    *_linear(r"patch_embed\.text_proj", "patch_embed/text_proj"),
    Rule(r"patch_embed\.pos_embedding", "patch_embed/pos_embedding", "squeeze0"),
    *_linear(r"time_embedding\.(linear_1|linear_2)", "time_embed/{0}"),
]
"""Patches, text, positions and time: the same names in the context encoder."""

BLOCK_RULES = [
    *_linear(rf"{_BLOCK}\.(norm1|norm2)\.linear", "blocks/{1}/linear", "[{0}]"),
    *_norm(rf"{_BLOCK}\.(norm1|norm2)\.norm", "blocks/{1}/norm", "[{0}]"),
    *_linear(rf"{_BLOCK}\.attn1\.(to_q|to_k|to_v)", "blocks/attn/{1}", "[{0}]"),
    *_linear(rf"{_BLOCK}\.attn1\.to_out\.0", "blocks/attn/to_out", "[{0}]"),
    *_norm(rf"{_BLOCK}\.attn1\.(norm_q|norm_k)", "blocks/attn/{1}", "[{0}]"),
    *_linear(rf"{_BLOCK}\.ff\.net\.0\.proj", "blocks/ff/up", "[{0}]"),
    *_linear(rf"{_BLOCK}\.ff\.net\.2", "blocks/ff/down", "[{0}]"),
]
"""One transformer block, stacked: the same names in the context encoder."""

RULES: list[Rule] = [
    *EMBED_RULES,
    *_linear(r"ofs_embedding\.(linear_1|linear_2)", "ofs_embed/{0}"),
    *BLOCK_RULES,
    *_norm("norm_final", "norm_final"),
    *_linear(r"norm_out\.linear", "norm_out/linear"),
    *_norm(r"norm_out\.norm", "norm_out/norm"),
    *_linear("proj_out", "proj_out"),
]

IGNORED: list[str] = []

_FIELDS: dict[str, tuple[str, Any]] = {
    # theirs: (ours, their default where config.json leaves it out)
    "num_attention_heads": ("num_heads", 30),
    "attention_head_dim": ("head_dim", 64),
    "num_layers": ("num_layers", 30),
    "in_channels": ("in_channels", 16),
    "out_channels": ("out_channels", 16),
    "text_embed_dim": ("text_dim", 4096),
    "time_embed_dim": ("time_dim", 512),
    "max_text_seq_length": ("max_text_len", 226),
    "patch_size": ("patch", 2),
    "patch_size_t": ("patch_t", None),
    "patch_bias": ("patch_bias", True),
    "use_rotary_positional_embeddings": ("rope", False),
    "use_learned_positional_embeddings": ("learned_positions", False),
    "sample_height": ("sample_height", 60),
    "sample_width": ("sample_width", 90),
    "sample_frames": ("sample_frames", 49),
    "spatial_interpolation_scale": ("spatial_interpolation", 1.875),
    "temporal_interpolation_scale": ("temporal_interpolation", 1.0),
    "ofs_embed_dim": ("ofs_dim", None),
    "norm_eps": ("norm_eps", 1e-5),
}
DIT_FIELDS = Original(
    "transformer",
    fields={theirs: ours for theirs, (ours, _) in _FIELDS.items()},
    defaults={theirs: default for theirs, (_, default) in _FIELDS.items()},
    fixed={
        "activation_fn": "gelu-approximate",
        "attention_bias": True,
        "dropout": 0.0,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "norm_elementwise_affine": True,
        "temporal_compression_ratio": 4,
        "timestep_activation_fn": "silu",
    },
)


def config_from_torch(values: dict[str, Any], what: str = "transformer") -> DiTConfig:
    """Description from ``config.json``; fields it leaves out have the original program's defaults.

    Raises:
      UserError: a value or a field that no CogVideoX checkpoint has (named in the message).
    """
    rope = values.get("use_rotary_positional_embeddings", False)
    if values.get("use_learned_positional_embeddings", False) is True and rope is False:
        raise UserError(f"{what} config has learned positions without rotary embedding: no CogVideoX has that")
    cfg = dataclasses.replace(DIT_FIELDS, what=what).read(DiTConfig, values)
    if cfg.ofs_dim and cfg.ofs_dim != cfg.time_dim:
        raise UserError(f"{what}: ofs_embed_dim {cfg.ofs_dim}, expected time_embed_dim {cfg.time_dim}")
    # 1.5 says that its patch projection has no bias, yet that linear has one
    return dataclasses.replace(cfg, patch_bias=True) if cfg.patch_t else cfg


def config_to_torch(cfg: DiTConfig) -> dict[str, Any]:
    """Inverse of `config_from_torch`."""
    return {"_class_name": "CogVideoXTransformer3DModel", **DIT_FIELDS.write(cfg)}


def torch_shapes(cfg: DiTConfig) -> dict[str, Shape]:
    """PyTorch shapes that our layout does not show: the patch projection."""
    return {
        "patch_embed.proj.weight": (cfg.dim, cfg.patch_values)
        if cfg.patch_t
        else (cfg.dim, cfg.in_channels, cfg.patch, cfg.patch)
    }
