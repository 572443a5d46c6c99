"""Which models a run uses: the settings, the descriptions that they stand for, and what a stage makes of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, get_args

from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError, check_numbers
from vp_jax.models.attention import choose
from vp_jax.models.config import REMAT, BranchConfig, DiTConfig, InjectedTokens, T5Config, VAEConfig
from vp_jax.models.folder import AUTOENCODER, BACKBONE, BRANCH, TEXT_ENCODER, CheckpointFolder
from vp_jax.models.vae.convs import choose_conv
from vp_jax.models.variants import variant
from vp_jax.training.encode import Encoders
from vp_jax.training.stages.stage import Stage

VAEError = Literal["absolute", "squared"]
"""Errors of pixels that an autoencoder may learn from, see `vp_jax.training.stages.vae`."""


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which models a run uses and how they compute.

    Attributes:
      stage: of `vp_jax.training.stages.registry`: ``branch`` or ``id_adapter``; ``vae`` or ``backbone`` make the models
        that those two take as given; ``single_branch`` is the ablation without a context encoder, ``distill`` needs
        fewer steps, ``style_lora`` is an adapter of the backbone on own clips; ``joint`` makes backbone and context
        encoder at once.
      checkpoint: folder made by ``python -m convert all``; empty: random weights of ``name``. The stages
        backbone and joint take the VAE from it and nothing else, the VAE stage nothing.
      name: of `vp_jax.models.variants`.
      init_from: folder of a trained model to continue from (``branch/``, ``vae/`` ... of an export; of the stages
        backbone, joint and distill the export itself, for its models); empty: the first backbone blocks, an adapter
        that does nothing, a copy of the teacher, or a VAE and a backbone made at random.
      tokenizer: sentencepiece file of the stages backbone and joint; the others take that of ``checkpoint``.
      branch_layers: of a fresh context encoder.
      hint_dropout: of the joint stage, share of examples without hints.
      injection_tokens: which tokens get its hints, ``background``, or for ablations ``partial`` or ``all``.
      rank, alpha: of a fresh adapter.
      dtype: of computation and of frozen weights.
      products: ``bfloat16`` to round the factors of the transformers' linear maps, see `vp_jax.models.products`:
        a float32 run on a CPU with AMX is a third faster.
      attention: see `vp_jax.models.attention`; empty: the fastest that is there.
      remat, branch_remat: of `vp_jax.models.config.REMAT`, or empty, for backbone and context encoder.
      vae_slicing: one clip after another through the VAE.
      kl_weight, vae_crop, vae_error: of the VAE stage, see `vp_jax.training.stages.vae.VAEStage`.
      distill_steps, distill_substeps, distill_guidance: steps of the student, of the teacher in each of them, and its
        guidance, see `vp_jax.training.stages.distill.DistillStage`.

    Raises:
      UserError: a value out of range, named with the range.
    """

    stage: str = "branch"
    checkpoint: str = ""
    name: str = "cogvideox-5b-i2v"
    init_from: str = ""
    tokenizer: str = ""
    branch_layers: int = 2
    hint_dropout: float = 0.0
    injection_tokens: InjectedTokens = "background"
    rank: int = 256
    alpha: float = 128.0
    dtype: str = "bfloat16"
    products: str = ""
    attention: str = ""
    remat: str = "nothing_saveable"
    branch_remat: str = "nothing_saveable"
    vae_slicing: bool = False
    kl_weight: float = 1e-4
    vae_crop: tuple[int, int] = (0, 0)
    vae_error: VAEError = "absolute"
    distill_steps: int = 4
    distill_substeps: int = 5
    distill_guidance: float = 6.0

    def __post_init__(self) -> None:
        if self.injection_tokens not in (known := get_args(InjectedTokens)):
            raise UserError(f"injection_tokens {self.injection_tokens!r}: expected one of {', '.join(known)}")
        if self.vae_error not in (known := get_args(VAEError)):
            raise UserError(f"vae_error {self.vae_error!r}: expected one of {', '.join(known)}")
        if self.dtype not in ("bfloat16", "float32"):
            raise UserError(f"dtype {self.dtype!r}: expected bfloat16 or float32")
        if self.products not in ("", "bfloat16"):
            raise UserError(f"products {self.products!r}: expected bfloat16, or nothing")
        for name in (self.remat, self.branch_remat):
            if name and name not in REMAT:
                raise UserError(f"remat {name!r}: expected one of {', '.join(REMAT)}, or nothing")
        check_numbers(self, "branch_layers rank distill_steps distill_substeps", 1)
        if self.distill_steps * self.distill_substeps > 1000:
            raise UserError(
                f"distill_steps {self.distill_steps} distill_substeps {self.distill_substeps}: expected a product of "
                f"at most 1000, the number of timesteps"
            )
        check_numbers(self, "alpha", above=True)
        check_numbers(self, "kl_weight distill_guidance")
        check_numbers(self, "hint_dropout", 0, 1)
        if len(self.vae_crop) != 2 or min(self.vae_crop) < 0:
            raise UserError(f"vae_crop {self.vae_crop}: expected rows and columns, (0, 0) for whole pictures")

    @property
    def source(self) -> CheckpointFolder | None:
        """The converted checkpoint, if one was given."""
        return CheckpointFolder(Path(self.checkpoint)) if self.checkpoint else None

    @property
    def continued(self) -> Path | None:
        """Folder of the trained model to continue from, if one was given."""
        return Path(self.init_from) if self.init_from else None


@dataclasses.dataclass(frozen=True)
class Descriptions:
    """Models that belong together, before a stage makes its choices. ``t5`` is ``None``: no text encoder."""

    backbone: DiTConfig
    branch: BranchConfig
    vae: VAEConfig
    t5: T5Config | None
    schedule: Schedule

    @classmethod
    def named(cls, name: str) -> Descriptions:
        """Those of a published model. Raises `UserError` for an unknown name."""
        models = variant(name)
        return cls(models.backbone, models.branch, models.vae, models.t5, models.schedule)

    @classmethod
    def stored(cls, source: CheckpointFolder) -> Descriptions:
        """Those of a converted checkpoint; without a context encoder, a new one of two layers.

        Raises:
          UserError: no converted checkpoint, or one without transformer or VAE.
        """
        backbone = source.describe(BACKBONE)
        channels = 2 * backbone.out_channels + 1
        branch = BranchConfig(dataclasses.replace(backbone, num_layers=2, in_channels=channels))
        if source.has(BRANCH):
            branch = source.describe(BRANCH)
        t5 = source.describe(TEXT_ENCODER) if source.has(TEXT_ENCODER) else None
        return cls(backbone, branch, source.describe(AUTOENCODER), t5, source.schedule())

    @classmethod
    def of(cls, cfg: ModelConfig) -> Descriptions:
        """Those of the checkpoint or, without one, of the name."""
        return cls.named(cfg.name) if cfg.source is None else cls.stored(cfg.source)

    def computed(self, cfg: ModelConfig, platform: str | None = None) -> Descriptions:
        """With types, attention and rematerialisation of the run on ``platform`` (default: this machine's).

        Raises:
          UserError: an attention backend that is unknown or does not run there.
        """
        types: dict[str, Any] = {"dtype": cfg.dtype, "param_dtype": cfg.dtype}
        backend = choose(cfg.attention, dtype=cfg.dtype, head_dim=self.backbone.head_dim, platform=platform)
        types_of_dit = {**types, "attention": backend, "products": cfg.products}
        # compiling for another platform; a run keeps the description, which its export repeats
        conv = choose_conv(self.vae.conv, dtype=cfg.dtype, platform=platform) if platform else self.vae.conv
        dit = dataclasses.replace(self.branch.dit, **types_of_dit, remat=cfg.branch_remat)
        return dataclasses.replace(
            self,
            backbone=dataclasses.replace(self.backbone, **types_of_dit, remat=cfg.remat),
            branch=BranchConfig(dit),
            vae=dataclasses.replace(self.vae, **types, conv=conv),
            t5=self.t5 and dataclasses.replace(self.t5, **types),
        )

    def encoders(self, cfg: ModelConfig) -> Encoders:
        """VAE and text encoder, frozen in front of the step."""
        image = self.backbone.in_channels == 2 * self.vae.latent_channels
        return Encoders(self.vae, self.t5, self.backbone.text_dim, image, cfg.vae_slicing)


@dataclasses.dataclass(frozen=True)
class TrainingModels:
    """Static side of a run's models.

    Attributes:
      stage, schedule: of training.
      encoders: in front of the step.
      text_len: tokens M of a caption.
      reads_captions: a text encoder reads them; otherwise any numbers do for words.
      vocabulary: sentencepiece file of the text encoder.
    """

    stage: Stage
    encoders: Encoders
    schedule: Schedule
    text_len: int
    reads_captions: bool
    vocabulary: Path | None

    @property
    def latent_scale(self) -> float:
        """What latents are multiplied with before the transformer sees them."""
        return 1.0 if self.encoders.vae is None else self.encoders.vae.scaling_factor


def behind_encoders(cfg: ModelConfig, found: Descriptions, stage: Stage) -> TrainingModels:
    """Of a stage behind frozen encoders, which are the checkpoint's as its tokenizer is."""
    return TrainingModels(
        stage,
        found.encoders(cfg),
        found.schedule,
        found.backbone.max_text_len,
        reads_captions=found.t5 is not None,
        vocabulary=None if cfg.source is None else cfg.source.vocabulary(),
    )
