"""Table between `AutoencoderKLCogVideoX` checkpoints and `vp_jax.models.vae.vae.VAE`."""

from __future__ import annotations

from typing import Any

from vp_jax.convert.engine import Rule
from vp_jax.convert.original import Original
from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig
from vp_jax.reading import show

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

VAE_FIELDS = Original(
    "VAE",
    fields={
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
    },
    defaults={
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 16,
        "block_out_channels": (128, 256, 256, 512),
        "layers_per_block": 3,
        "norm_num_groups": 32,
        "temporal_compression_ratio": 4,
        "norm_eps": 1e-6,
        "scaling_factor": 1.15258426,
        "invert_scale_latents": False,
        "sample_height": 480,
        "sample_width": 720,
    },
    fixed={
        "act_fn": "silu",
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "shift_factor": None,
        "latents_mean": None,
        "latents_std": None,
    },
    # force_upcast asks for float32 where float16 overflows; the others are of classes that this one grew out of
    inert=frozenset({"force_upcast", "sample_size", "mid_block_add_attention"}),
)
_BLOCK_TYPES = {"down_block_types": "CogVideoXDownBlock3D", "up_block_types": "CogVideoXUpBlock3D"}


def config_from_torch(values: dict[str, Any]) -> VAEConfig:
    """``config.json`` of the checkpoint -> our description; what it leaves out has diffusers' default.

    Raises:
      UserError: a feature that no CogVideoX checkpoint uses, or a value of the wrong type or range.
    """
    rest = dict(values)
    for key, block in _BLOCK_TYPES.items():
        blocks = rest.pop(key, None)
        if blocks is not None and (not isinstance(blocks, list | tuple) or any(name != block for name in blocks)):
            raise UserError(f"VAE config {key} = {show(repr(blocks))[:100]}: expected {block} alone")
    return VAE_FIELDS.read(VAEConfig, rest)


def config_to_torch(cfg: VAEConfig) -> dict[str, Any]:
    """Inverse of `config_from_torch`. Raises `UserError` for an autoencoder that PyTorch's has no place for."""
    if cfg.design != "cogvideox" or cfg.latent_mean or cfg.latent_std:
        raise UserError(
            f"an autoencoder of design {cfg.design!r} with {len(cfg.latent_std)} deviations of channels: "
            "AutoencoderKLCogVideoX has one design and one scaling factor, and takes no other"
        )
    blocks = {key: [block] * len(cfg.channels) for key, block in _BLOCK_TYPES.items()}
    values = {"_class_name": "AutoencoderKLCogVideoX", **VAE_FIELDS.write(cfg), **blocks}
    return {**values, "block_out_channels": list(cfg.channels)}
