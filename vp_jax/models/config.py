"""Frozen, hashable descriptions of the models, stored as JSON next to their weights.

Every sub-module takes the complete description. ``dtype`` is the compute type (norms, softmax, modulation and rotary
embedding stay float32), ``param_dtype`` the type of the weights.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, Literal, get_args

from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.schema import Between, OneOf, from_values
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE

Size = Annotated[int, Between(1, 1 << 16)]
"""A width, a number of channels or tokens, pixels along a side."""
Layers = Annotated[int, Between(1, 1024)]
Patch = Annotated[int, Between(1, 64)]
Positive = Annotated[float, Between(0, 1e6, above=True)]
Epsilon = Annotated[float, Between(0, 1, above=True)]
DType = Annotated[str, OneOf(("float32", "bfloat16", "float16", "float64"))]

ATTENTION = ("xla", "chunked", "heads", "cudnn", "splash")
"""Names of `vp_jax.models.attention.BACKENDS`, here because naming them needs no JAX."""
DESIGNS = ("cogvideox", "blocks")
"""Autoencoders: `vp_jax.models.vae.coder` and, for small models, `vp_jax.models.vae.blocks`."""
CONVS = ("auto", "taps", "winograd", "xla")
"""Implementations of the 3x3x3 convolution, see `vp_jax.models.vae.convs`."""
REMAT = (
    "nothing_saveable",
    "save_attention",
    "offload_attention",
    "save_attention_and_products",
    "dots_with_no_batch_dims_saveable",
    "dots_saveable",
)
"""Rematerialisation policies: what a block saves for its backward pass. ``save_attention`` saves the outputs of
attention, so that only matrix products are computed twice; ``offload_attention`` saves them in host memory;
``save_attention_and_products`` saves those of matrix products too, so that neither is computed twice."""

WEIGHT_FORMS = ("int8", "host")
"""Forms of the blocks' weights, besides their type: matrices in 8 bits, or blocks that wait in the host's memory until
they run, one after another."""

MOST_POSITIONS = 1 << 22
"""Tokens of the largest native grid, for which a position table can be made."""


@dataclasses.dataclass(frozen=True)
class DiTConfig:
    """CogVideoX diffusion transformer (arXiv 2408.06072) and, with ``num_layers=G``, the context encoder on it.

    Attributes:
      num_heads: K.
      head_dim: A; the width is ``D = K * A``.
      num_layers: L, or G of a context encoder.
      in_channels: latent channels of the input (32 for I2V: noisy, image condition).
      out_channels: latent channels of the output.
      takes_condition: masked video and mask are among the input channels, last (the single-branch ablation).
      text_dim: width of the text embeddings.
      time_dim: width of the time embedding.
      max_text_len: M of models with a position table.
      patch: rows and columns of latent cells per token.
      patch_t: latent frames per token (CogVideoX 1.5); ``None`` for CogVideoX 1.0, which has no temporal patch.
      patch_bias: whether the patch embedding has a bias.
      rope: rotary positions.
      learned_positions: add a stored position table. A model with neither adds a sin-cos table.
      sample_height: native latent rows.
      sample_width: native latent columns.
      sample_frames: native pixel frames.
      spatial_interpolation: rows and columns of the sin-cos table are divided by it.
      temporal_interpolation: frames of the sin-cos table are divided by it.
      ofs_dim: width of the ofs embedding (CogVideoX 1.5 I2V), or ``None``.
      norm_eps: epsilon of the layer norms.
      attention: backend name, see `vp_jax.models.attention`.
      remat: policy of `REMAT` for the backward pass of the scanned blocks; ``""`` saves everything.
      dtype: compute type.
      param_dtype: type of the weights.
      products: ``bfloat16`` rounds the factors of linear maps, see `vp_jax.models.products`; empty: nothing does.
      weights: ``int8`` to hold the matrices of blocks in 8 bits, see `vp_jax.models.int8`; ``host`` if the blocks are
        in the host's memory (no run changes a number).

    Raises:
      UserError: sizes that do not fit each other, or positions that CogVideoX 1.5 does not have.
    """

    num_heads: Annotated[int, Between(1, 1024)]
    head_dim: Annotated[int, Between(1, 1024)]
    num_layers: Layers
    in_channels: Size = 16
    out_channels: Size = 16
    takes_condition: bool = False
    text_dim: Size = 4096
    time_dim: Size = 512
    max_text_len: Size = 226
    patch: Patch = 2
    patch_t: Patch | None = None
    patch_bias: bool = True
    rope: bool = True
    learned_positions: bool = False
    sample_height: Size = 60
    sample_width: Size = 90
    sample_frames: Size = 49
    spatial_interpolation: Positive = 1.875
    temporal_interpolation: Positive = 1.0
    ofs_dim: Size | None = None
    norm_eps: Epsilon = 1e-5
    attention: Annotated[str, OneOf(ATTENTION)] = "xla"
    remat: Annotated[str, OneOf(("", *REMAT))] = ""
    dtype: DType = "float32"
    param_dtype: DType = "float32"
    products: Annotated[str, OneOf(("", "bfloat16"))] = ""
    weights: Annotated[str, OneOf(("", *WEIGHT_FORMS))] = ""

    def __post_init__(self) -> None:
        if self.rope and self.head_dim % 16:
            raise UserError(f"head_dim {self.head_dim}: expected a multiple of 16 (rotary frame, row, column pairs)")
        if not self.rope and self.dim % 16:
            raise UserError(f"width {self.dim}: expected a multiple of 16 (sines and cosines of frame, row, column)")
        if self.dim % 2:
            raise UserError(f"width {self.dim}: expected an even number (sines and cosines of the time)")
        if self.learned_positions and self.patch_t:
            raise UserError("learned positions with a temporal patch: CogVideoX 1.5 has none, check the configuration")
        if self.sample_height < self.patch or self.sample_width < self.patch:
            raise UserError(
                f"sample_height {self.sample_height}, sample_width {self.sample_width}: expected at least one patch "
                f"of {self.patch}"
            )
        positions = (self.sample_frames // 4 + 1) * self.sample_height * self.sample_width // self.patch**2
        if positions > MOST_POSITIONS:
            raise UserError(
                f"sample_frames {self.sample_frames}, sample_height {self.sample_height}, sample_width "
                f"{self.sample_width}: {positions} tokens, expected at most {MOST_POSITIONS}"
            )

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
    """Context encoder: a small DiT on [noisy | masked video | mask] latents whose blocks give hints (paper 3.2).

    Attributes:
      dit: description of its blocks; ``num_layers`` is G, ``in_channels`` counts noisy and condition channels (33).
    """

    dit: DiTConfig


@dataclasses.dataclass(frozen=True)
class VAEConfig:
    """CogVideoX causal 3-D VAE (arXiv 2408.06072 section 2.1), or a small one of blocks.

    Attributes:
      design: one of `DESIGNS`.
      in_channels: channels of the pixels that are encoded.
      out_channels: channels of the pixels that are decoded.
      latent_channels: C.
      channels: block widths from the pixels down; the first ``log2(temporal_stride)`` resamplings also halve time. The
        design ``blocks`` has two, for blocks of 4x4 and of 8x8 pixels.
      layers_per_block: residual blocks per width of the encoder; the decoder has one more.
      groups: groups of the group norms.
      temporal_stride: pixel frames per latent frame.
      norm_eps: epsilon of the encoder's norms.
      scaling_factor: the transformer's latents are ``z * scaling_factor`` (0.7 for 5B, 1.15258426 for 2B).
      latent_mean: of each channel, which encoding subtracts; empty: 0.
      latent_std: of each channel, by which encoding divides; empty: 1.
      invert_scale: image latents are divided by the factor instead (CogVideoX 1.5 I2V).
      sample_height: native pixel rows, which set the tile size.
      sample_width: native pixel columns.
      conv: implementation of the 3x3x3 convolution, see `vp_jax.models.vae.convs`: "auto", "taps", "winograd" or
        "xla".
      dtype: compute type.
      param_dtype: type of the weights.

    Raises:
      UserError: an unknown convolution, or sizes that do not fit each other.
    """

    design: Annotated[str, OneOf(DESIGNS)] = "cogvideox"
    in_channels: Size = 3
    out_channels: Size = 3
    latent_channels: Size = 16
    channels: Annotated[tuple[Size, ...], Between(1, 8)] = (128, 256, 256, 512)
    layers_per_block: Annotated[int, Between(1, 64)] = 3
    groups: Size = 32
    temporal_stride: Annotated[int, Between(1, 128)] = 4
    norm_eps: Epsilon = 1e-6
    scaling_factor: Positive = 0.7
    latent_mean: tuple[float, ...] = ()
    latent_std: tuple[Positive, ...] = ()
    invert_scale: bool = False
    sample_height: Size = 480
    sample_width: Size = 720
    conv: Annotated[str, OneOf(CONVS)] = "auto"
    dtype: DType = "float32"
    param_dtype: DType = "float32"

    def __post_init__(self) -> None:
        if self.conv not in CONVS:
            raise UserError(f"conv {self.conv!r}: expected {OneOf(CONVS)}")
        for name in ("latent_mean", "latent_std"):
            if len(getattr(self, name)) not in (0, self.latent_channels):
                raise UserError(
                    f"{name}: {len(getattr(self, name))} values, expected none or one for each of the "
                    f"{self.latent_channels} channels"
                )
        if self.design == "blocks":
            self._check_blocks()
        else:
            self._check_levels()

    def _check_blocks(self) -> None:
        if len(self.channels) != 2 or self.temporal_stride != TEMPORAL_STRIDE:
            raise UserError(
                f"channels {self.channels}, temporal_stride {self.temporal_stride}: expected two widths and "
                f"{TEMPORAL_STRIDE} for the design blocks"
            )

    def _check_levels(self) -> None:
        if self.temporal_stride not in [2**i for i in range(len(self.channels))]:
            raise UserError(
                f"temporal_stride {self.temporal_stride}: expected a power of 2 up to {self.spatial_stride}, as "
                f"channels {self.channels} have {len(self.channels) - 1} resamplings"
            )
        odd = [width for width in self.channels if width % self.groups]
        if odd:
            raise UserError(f"channels {odd}: expected multiples of the {self.groups} norm groups")

    @property
    def spatial_stride(self) -> int:
        """Pixels per latent cell along rows and columns."""
        return SPATIAL_STRIDE if self.design == "blocks" else 1 << (len(self.channels) - 1)

    @property
    def time_levels(self) -> int:
        """Number of resamplings that also halve or double time."""
        return self.temporal_stride.bit_length() - 1


@dataclasses.dataclass(frozen=True)
class T5Config:
    """T5-v1.1 encoder (arXiv 2002.05202): gated GELU, relative position buckets, no biases.

    Attributes:
      vocab_size: rows of the token table, at least the ids of the tokenizer.
      dim: width E of the embeddings.
      head_dim: A.
      ff_dim: hidden width of the feed-forward.
      num_layers: blocks.
      num_heads: K.
      buckets: relative position buckets.
      max_distance: distance from which on all positions share the last bucket.
      norm_eps: epsilon of the norms.
      dtype: compute type.
      param_dtype: type of the weights.

    Raises:
      UserError: fewer distances than buckets.
    """

    vocab_size: Annotated[int, Between(1, 1 << 24)] = 32128
    dim: Size = 4096
    head_dim: Annotated[int, Between(1, 1024)] = 64
    ff_dim: Annotated[int, Between(1, 1 << 18)] = 10240
    num_layers: Layers = 24
    num_heads: Annotated[int, Between(1, 1024)] = 64
    buckets: Annotated[int, Between(4, 4096)] = 32
    max_distance: Annotated[int, Between(2, 1 << 20)] = 128
    norm_eps: Epsilon = 1e-6
    dtype: DType = "float32"
    param_dtype: DType = "float32"

    def __post_init__(self) -> None:
        if self.max_distance <= self.buckets // 4:
            raise UserError(
                f"max_distance {self.max_distance}: expected above {self.buckets // 4}, the distances that "
                f"{self.buckets} buckets hold one by one"
            )


@dataclasses.dataclass(frozen=True)
class LoRAConfig:
    """Low-rank adapter on a backbone: ``W x + scale * B A x``.

    Attributes:
      targets: '/'-joined module paths below the model, with stacked layers, such as ``blocks/attn/to_q``.
      rank: R.
      scale: alpha/rank if the file stores alpha; otherwise chosen by the user (reference: 1.0).
      extra_keys: the ID resample adapter's second set of masked keys and values (paper section 3.3).
    """

    targets: Annotated[tuple[str, ...], Between(1, 1024)]
    rank: Size
    scale: Annotated[float, Between(-1e6, 1e6)] = 1.0
    extra_keys: bool = False


@dataclasses.dataclass(frozen=True)
class SchedulerConfig(Schedule):
    """Noise schedule of a checkpoint, and the sampler that its files name.

    Attributes:
      sampler: "dpm" or "ddim"; the sampling settings may choose another one.
      timestep_spacing: timesteps are counted from the last one in every CogVideoX.
    """

    sampler: Literal["dpm", "ddim"] = "dpm"
    timestep_spacing: Literal["trailing"] = "trailing"


InjectedTokens = Literal["background", "partial", "all"]
InjectionSchedule = Literal["grouped", "first"]


@dataclasses.dataclass(frozen=True)
class Injection:
    """How the context encoder's hints enter the backbone (paper section 3.2), see `vp_jax.models.injection`.

    Attributes:
      scale: factor on every hint, 0 or more; 0 switches the context encoder off.
      tokens: which video tokens get hints: ``background``; for ablations ``partial`` (any token with some background)
        or ``all``.
      schedule: which hint a block gets: ``grouped``, one hint per group of blocks, or ``first``, hint i after block i.

    Raises:
      UserError: a value out of range, named with the range.
    """

    scale: float = 1.0
    tokens: InjectedTokens = "background"
    schedule: InjectionSchedule = "grouped"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise UserError(f"injection scale {self.scale}: expected 0 or more")
        for name, kind in (("tokens", InjectedTokens), ("schedule", InjectionSchedule)):
            value, known = getattr(self, name), get_args(kind)
            if value not in known:
                raise UserError(f"injection {name} {value!r}: expected one of {', '.join(known)}")


DEFAULT_INJECTION = Injection()
"""As in the paper."""

CONFIG_KINDS: dict[str, type] = {
    "dit": DiTConfig,
    "branch": BranchConfig,
    "vae": VAEConfig,
    "t5": T5Config,
    "lora": LoRAConfig,
}
"""Description classes of models by the ``kind`` in ``config.json``."""

_DESCRIPTIONS: dict[str, type] = {**CONFIG_KINDS, "scheduler": SchedulerConfig}


def to_json(config: Any) -> dict[str, Any]:
    """JSON values of a description, with its ``kind``."""
    kind = next(k for k, cls in _DESCRIPTIONS.items() if type(config) is cls)
    return {"kind": kind, **dataclasses.asdict(config)}


def from_json(values: dict[str, Any], **overrides: Any) -> Any:
    """Description from `to_json` values; ``overrides`` replace fields (``dtype``, ``attention`` ...).

    Raises:
      UserError: unknown kind, or fields that are unknown, missing, of another type or out of their range.
    """
    values = dict(values)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in _DESCRIPTIONS:
        raise UserError(f"model of kind {kind!r}: expected one of {', '.join(_DESCRIPTIONS)}")
    if kind == "branch":
        dit = values.pop("dit", {})
        if values or not isinstance(dit, dict):
            raise UserError(f"branch: expected one field dit, the description of its blocks, got {sorted(values)}")
        return BranchConfig(dit=from_values(DiTConfig, {**dit, **overrides}, "branch"))
    if kind == "dit" and "takes_condition" not in values:
        values["takes_condition"] = _took_condition(values)
    return from_values(_DESCRIPTIONS[kind], {**values, **overrides}, kind)


def _took_condition(values: dict[str, Any]) -> bool:
    """Whether a backbone that was stored before `DiTConfig.takes_condition` existed takes the condition."""
    channels = values.get("out_channels", DiTConfig.out_channels)
    wide = (2 * channels + 1, 3 * channels + 1) if isinstance(channels, int) else ()
    return values.get("in_channels", DiTConfig.in_channels) in wide
