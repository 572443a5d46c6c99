"""Frozen descriptions of the models, hashable, stored as JSON beside their weights.

Every sub-module takes the whole description. ``dtype`` is the compute type (norms, softmax, modulation and
rotary embedding stay float32), ``param_dtype`` the type of the stored weights.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from vp_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class DiTConfig:
    """CogVideoX diffusion transformer (arXiv 2408.06072) and, with ``num_layers=G``, the context encoder on it.

    Attributes:
      num_heads, head_dim: K and A; the width is ``D = K * A``.
      in_channels: latent channels of the input (32 for I2V: noisy, image condition).
      text_dim, time_dim: widths of the text embeddings and of the time embedding.
      patch, patch_t: patch size in space, and in time (``None``: CogVideoX 1.0, no temporal patch).
      rope, learned_positions: rotary embedding; a stored table added to the joint sequence. Neither: sin-cos table.
      sample_height, sample_width, sample_frames: native latent grid and pixel frames.
      ofs_dim: width of the ofs embedding (CogVideoX1.5 I2V), or ``None``.
      attention: backend name, see `vp_jax.models.attention`.
      remat: of `vp_jax.models.dit.REMAT`, what the scanned blocks keep for the backward pass, ``""`` for all.
    """

    num_heads: int
    head_dim: int
    num_layers: int
    in_channels: int = 16
    out_channels: int = 16
    text_dim: int = 4096
    time_dim: int = 512
    max_text_len: int = 226
    patch: int = 2
    patch_t: int | None = None
    patch_bias: bool = True
    rope: bool = True
    learned_positions: bool = False
    sample_height: int = 60
    sample_width: int = 90
    sample_frames: int = 49
    spatial_interpolation: float = 1.875
    temporal_interpolation: float = 1.0
    ofs_dim: int | None = None
    norm_eps: float = 1e-5
    attention: str = "xla"
    remat: str = ""
    dtype: str = "float32"
    param_dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.rope and self.head_dim % 16:
            raise UserError(f"head_dim {self.head_dim}: expected a multiple of 16 (rotary frame, row, column pairs)")
        if self.learned_positions and self.patch_t:
            raise UserError("learned positions with a temporal patch: CogVideoX1.5 has none, check the configuration")

    @property
    def dim(self) -> int:
        """Width D."""
        return self.num_heads * self.head_dim

    @property
    def patch_values(self) -> int:
        """Input values of one token."""
        return self.in_channels * (self.patch_t or 1) * self.patch**2


@dataclasses.dataclass(frozen=True)
class BranchConfig:
    """Context encoder: a small DiT on [noisy | masked video | mask] latents whose blocks emit hints (paper 3.2).

    Attributes:
      dit: the cloned blocks; ``num_layers`` is G and ``in_channels`` is noisy + condition channels (33).
    """

    dit: DiTConfig


@dataclasses.dataclass(frozen=True)
class VAEConfig:
    """CogVideoX causal 3-D VAE (arXiv 2408.06072 section 2.1).

    Attributes:
      channels: block widths from the pixels down; the first ``log2(temporal_stride)`` resamplings also halve time.
      groups: GroupNorm groups.
      scaling_factor: latents handed to the transformer are ``z * scaling_factor`` (0.7 for 5B, 1.15258426 for 2B).
      invert_scale: image latents are divided instead of multiplied by the factor (CogVideoX1.5 I2V).
      sample_height, sample_width: native pixel size, which sets the tile size.
      conv: implementation of the 3x3x3 convolution, see `vp_jax.models.vae.convs`: "taps", "winograd" or "xla".
    """

    in_channels: int = 3
    out_channels: int = 3
    latent_channels: int = 16
    channels: tuple[int, ...] = (128, 256, 256, 512)
    layers_per_block: int = 3
    groups: int = 32
    temporal_stride: int = 4
    norm_eps: float = 1e-6
    scaling_factor: float = 0.7
    invert_scale: bool = False
    sample_height: int = 480
    sample_width: int = 720
    conv: str = "taps"
    dtype: str = "float32"
    param_dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.conv not in ("taps", "winograd", "xla"):
            raise UserError(f"conv {self.conv!r}: expected 'taps', 'winograd' or 'xla'")
        if self.temporal_stride not in [2**i for i in range(len(self.channels))]:
            raise UserError(
                f"temporal_stride {self.temporal_stride}: expected a power of 2 up to "
                f"{self.spatial_stride}, as {len(self.channels)} widths have {len(self.channels) - 1} "
                f"resamplings"
            )
        odd = [width for width in self.channels if width % self.groups]
        if odd:
            raise UserError(f"channels {odd}: expected multiples of the {self.groups} norm groups")

    @property
    def spatial_stride(self) -> int:
        """Pixels per latent cell along rows and columns."""
        return 2 ** (len(self.channels) - 1)

    @property
    def time_levels(self) -> int:
        """Resamplings that also halve or double time."""
        return self.temporal_stride.bit_length() - 1


@dataclasses.dataclass(frozen=True)
class T5Config:
    """T5-v1.1 encoder (arXiv 2002.05202): gated GELU, relative position buckets, no biases."""

    vocab_size: int = 32128
    dim: int = 4096
    head_dim: int = 64
    ff_dim: int = 10240
    num_layers: int = 24
    num_heads: int = 64
    buckets: int = 32
    max_distance: int = 128
    norm_eps: float = 1e-6
    dtype: str = "float32"
    param_dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class LoRAConfig:
    """Low-rank adapter on a backbone: ``W x + scale * B A x``.

    Attributes:
      targets: '/'-joined module paths below the model, layers stacked, e.g. ``blocks/attn/to_q``.
      rank: R.
      scale: explicit; alpha/rank if the file stores alpha, else what the user says (reference: 1.0).
      extra_keys: the ID resample adapter's second set of masked keys and values (paper section 3.3).
    """

    targets: tuple[str, ...]
    rank: int
    scale: float = 1.0
    extra_keys: bool = False


HintTokens = Literal["background", "partial", "all"]
"""Tokens that get the context encoder's hints, see `vp_jax.models.injection`; here, since naming them needs no JAX."""

KINDS: dict[str, type] = {
    "dit": DiTConfig,
    "branch": BranchConfig,
    "vae": VAEConfig,
    "t5": T5Config,
    "lora": LoRAConfig,
}


def to_json(config: Any) -> dict[str, Any]:
    """JSON values of a description, with its ``kind``."""
    kind = next(k for k, cls in KINDS.items() if type(config) is cls)
    return {"kind": kind, **dataclasses.asdict(config)}


def from_json(values: dict[str, Any], **overrides: Any) -> Any:
    """Description from `to_json` values; ``overrides`` replace fields (``dtype``, ``attention`` ...).

    Raises:
      UserError: unknown kind or field, or one missing.
    """
    values = dict(values)
    cls = KINDS.get(values.pop("kind", None))
    if cls is None:
        raise UserError(f"unknown model kind in {sorted(values)}: expected one of {sorted(KINDS)}")
    if cls is BranchConfig:
        return BranchConfig(dit=from_json({"kind": "dit", **values.get("dit", {})}, **overrides))
    values.update(overrides)
    fields = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - fields)
    if unknown:
        raise UserError(f"unknown fields {unknown} for {cls.__name__}: expected among {sorted(fields)}")
    missing = [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING and f.name not in values]
    if missing:
        raise UserError(f"fields {missing} of {cls.__name__} are missing: convert the checkpoint again")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
