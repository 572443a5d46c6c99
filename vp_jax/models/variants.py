"""Descriptions of the published models by name, to compile full-size programs without their weights.

A converted checkpoint brings its own descriptions, which are used instead.
"""

from __future__ import annotations

import dataclasses

from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.models.config import BranchConfig, DiTConfig, T5Config, VAEConfig


@dataclasses.dataclass(frozen=True)
class Variant:
    """Models that belong together.

    Attributes:
      backbone: description of the backbone.
      branch: description of its context encoder.
      vae: description of the VAE.
      t5: description of the text encoder, ``None`` for models without one.
      schedule: of the noise.
    """

    backbone: DiTConfig
    branch: BranchConfig
    vae: VAEConfig
    t5: T5Config | None
    schedule: Schedule


_UNSHIFTED = Schedule()


def _variant(
    backbone: DiTConfig, vae: VAEConfig, t5: T5Config | None, schedule: Schedule = _UNSHIFTED, branch_layers: int = 2
) -> Variant:
    channels = 2 * vae.latent_channels + 1
    branch = BranchConfig(dataclasses.replace(backbone, num_layers=branch_layers, in_channels=channels))
    return Variant(backbone, branch, vae, t5, schedule)


def _nano(patch: int) -> Variant:
    """Trains on a CPU with examples/train_nano.sh: 17 frames of 64 x 96.

    It predicts clean values, since a width of 224 carries the noise of a token's 32 x ``patch``^2 values badly.
    """
    return _variant(
        DiTConfig(
            num_heads=7,
            head_dim=32,
            num_layers=6,
            patch=patch,
            in_channels=64,
            out_channels=32,
            text_dim=64,
            time_dim=48,
            max_text_len=24,
            sample_height=8,
            sample_width=12,
            sample_frames=17,
            learned_positions=True,
        ),
        VAEConfig(
            design="blocks",
            latent_channels=32,
            channels=(96, 192),
            layers_per_block=2,
            scaling_factor=1.0,
            sample_height=64,
            sample_width=96,
        ),
        T5Config(vocab_size=512, dim=64, head_dim=16, ff_dim=128, num_layers=2, num_heads=4),
        Schedule(prediction_type="sample"),
    )


VARIANTS: dict[str, Variant] = {
    "cogvideox-5b-i2v": _variant(
        DiTConfig(num_heads=48, head_dim=64, num_layers=42, in_channels=32, learned_positions=True),
        VAEConfig(),
        T5Config(),
    ),
    "cogvideox-5b": _variant(DiTConfig(num_heads=48, head_dim=64, num_layers=42), VAEConfig(), T5Config()),
    "cogvideox-2b": _variant(
        DiTConfig(num_heads=30, head_dim=64, num_layers=30, rope=False),
        VAEConfig(scaling_factor=1.15258426),
        T5Config(),
        Schedule(snr_shift=3.0),
    ),
    # trains on a CPU in seconds; no text encoder
    "tiny": _variant(
        DiTConfig(
            num_heads=2,
            head_dim=16,
            num_layers=4,
            in_channels=32,
            text_dim=24,
            time_dim=8,
            max_text_len=6,
            sample_height=8,
            sample_width=12,
            sample_frames=9,
            learned_positions=True,
        ),
        VAEConfig(channels=(8, 8, 12, 16), layers_per_block=1, groups=4, sample_height=64, sample_width=96),
        None,
    ),
    "nano": _nano(patch=1),
    # trains five times as fast; python -m bench.nano.finer makes nano of it (docs/nano/experiments.md)
    "nano_coarse": _nano(patch=2),
}


def variant(name: str) -> Variant:
    """Models of `VARIANTS` by name.

    Raises:
      UserError: an unknown name.
    """
    if name not in VARIANTS:
        raise UserError(f"model {name!r}: expected one of {', '.join(VARIANTS)}, or give a converted checkpoint")
    return VARIANTS[name]
