"""Table between `AutoencoderKLCogVideoX` checkpoints and `vp_jax.models.vae.vae.VAE`."""

from __future__ import annotations

from typing import Any

from vp_jax.convert.engine import Rule
from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig

# where residual blocks live: source prefix, target prefix, number of captured groups
_BLOCKS = (
    (r"encoder\.down_blocks\.(\d+)\.resnets\.(\d+)", "encoder/down/{0}/resnets/{1}", 2),
    (r"encoder\.mid_block\.resnets\.(\d+)", "encoder/mid/{0}", 1),
    (r"decoder\.mid_block\.resnets\.(\d+)", "decoder/mid/{0}", 1),
    (r"decoder\.up_blocks\.(\d+)\.resnets\.(\d+)", "decoder/up/{0}/resnets/{1}", 2),
)


def _conv(source: str, target: str, transform: str = "conv3d") -> list[Rule]:
    return [Rule(rf"{source}\.weight", f"{target}/kernel", transform), Rule(rf"{source}\.bias", f"{target}/bias")]


def _group_norm(source: str, target: str) -> list[Rule]:
    return [Rule(rf"{source}\.weight", f"{target}/scale"), Rule(rf"{source}\.bias", f"{target}/bias")]


def _spatial_norm(source: str, target: str, groups: int) -> list[Rule]:
    maps = _conv(rf"{source}\.(conv_y|conv_b)\.conv", f"{target}/{{{groups}}}")
    return _group_norm(rf"{source}\.norm_layer", f"{target}/norm") + maps


def _block(source: str, target: str, groups: int) -> list[Rule]:
    norm = rf"{source}\.(norm1|norm2)", f"{target}/{{{groups}}}"
    norms = _spatial_norm(*norm, groups + 1) if source.startswith("decoder") else _group_norm(*norm)
    convs = _conv(rf"{source}\.(conv1|conv2)\.conv", f"{target}/{{{groups}}}")
    return norms + convs + _conv(rf"{source}\.conv_shortcut", f"{target}/shortcut")


RULES: list[Rule] = [
    *_conv(r"(encoder|decoder)\.(conv_in|conv_out)\.conv", "{0}/{1}"),
    *_group_norm(r"encoder\.norm_out", "encoder/norm_out"),
    *_spatial_norm(r"decoder\.norm_out", "decoder/norm_out", 0),
    *_conv(r"encoder\.down_blocks\.(\d+)\.downsamplers\.0\.conv", "encoder/down/{0}/downsample", "conv2d"),
    *_conv(r"decoder\.up_blocks\.(\d+)\.upsamplers\.0\.conv", "decoder/up/{0}/upsample", "conv2d"),
    *(rule for place in _BLOCKS for rule in _block(*place)),
]

IGNORED: list[str] = []

_FIELDS = {
    "in_channels": "in_channels",
    "out_channels": "out_channels",
    "latent_channels": "latent_channels",
    "block_out_channels": "channels",
    "layers_per_block": "layers_per_block",
    "norm_num_groups": "groups",
    "temporal_compression_ratio": "temporal_stride",
    "norm_eps": "norm_eps",
    "scaling_factor": "scaling_factor",
    "invert_scale_latents": "invert_scale",
    "sample_height": "sample_height",
    "sample_width": "sample_width",
}
_NOT_GIVEN = {"scaling_factor": 1.15258426, "norm_eps": 1e-6, "invert_scale_latents": False}
_FIXED = {
    "act_fn": "silu",
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "shift_factor": None,
    "latents_mean": None,
    "latents_std": None,
}


def config_from_torch(values: dict[str, Any]) -> VAEConfig:
    """``config.json`` of the checkpoint -> our description; what older files leave out has diffusers' default.

    Raises:
      UserError: a feature that no CogVideoX checkpoint uses, or a missing field.
    """
    for key, expected in _FIXED.items():
        if values.get(key, expected) != expected:
            raise UserError(f"VAE config {key} = {values[key]!r}: expected {expected!r}, as in every CogVideoX VAE")
    values = {**_NOT_GIVEN, **values}
    missing = sorted(set(_FIELDS) - set(values))
    if missing:
        raise UserError(f"VAE config lacks {missing}: expected the config.json of an AutoencoderKLCogVideoX")
    fields = {ours: values[theirs] for theirs, ours in _FIELDS.items()}
    return VAEConfig(
        **{**fields, "channels": tuple(fields["channels"]), "temporal_stride": int(fields["temporal_stride"])}
    )


def config_to_torch(cfg: VAEConfig) -> dict[str, Any]:
    """Inverse of `config_from_torch`."""
    levels = len(cfg.channels)
    return {
        "_class_name": "AutoencoderKLCogVideoX",
        **_FIXED,
        **{theirs: getattr(cfg, ours) for theirs, ours in _FIELDS.items()},
        "block_out_channels": list(cfg.channels),
        "down_block_types": ["CogVideoXDownBlock3D"] * levels,
        "up_block_types": ["CogVideoXUpBlock3D"] * levels,
    }
