"""What a stage of training is: the opening through which the step, the checkpoint and the program see it.

    stage          trained                                      frozen                     file
    branch         context encoder                              backbone                   branch.py
    id_adapter     LoRA on q, k, v, out, masked extra keys      backbone, context encoder  id_adapter.py
    vae            autoencoder                                  -                          vae.py
    backbone       transformer and text encoder                 VAE                        backbone.py
    joint          transformer, text and context encoder        VAE                        joint.py
    single_branch  widened backbone, no context encoder         VAE, text encoder          single_branch.py
    distill        backbone and context encoder of few steps    the same of many steps     distill.py
    style_lora     LoRA on q, k, v, out of the backbone         backbone                   style_lora.py

The first two are VideoPainter's (arXiv 2503.05639 sections 3.2 and 3.3), the next two make the models that those take
as given, ``joint`` makes a small model in one run, ``single_branch`` is an ablation, ``distill`` makes a trained model
fast, the last fits the backbone to a style or a domain. A stage is one file, which also builds it from a run's
settings, and one line in `vp_jax.training.stages.registry`.
`vp_jax.training.stages.denoising.Denoiser` answers most of this protocol for stages that denoise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax

from vp_jax import trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.settings import Settings
from vp_jax.models.folder import CheckpointFolder, Description
from vp_jax.training.encode import Encoders
from vp_jax.training.stages.weights import Origin, Weights

Metrics = dict[str, jax.Array]

Exports = Mapping[str, tuple[Description, trees.Tree]]
"""Descriptions and weights by the folder of a checkpoint that they belong into."""


class StepKeys(NamedTuple):
    """The named keys of one step; each is used once."""

    timestep: jax.Array
    noise: jax.Array
    encode: jax.Array


class Loss(Protocol):
    """A NamedTuple of (B,) parts of the loss."""

    def total(self, hole_weight: float = 1.0) -> jax.Array:
        """What is minimised (B,)."""
        ...

    def _asdict(self) -> dict[str, jax.Array]: ...


class Sampled(NamedTuple):
    """What validation looks at.

    Attributes:
      clean_BFHWC, result_BFHWC: the original and the model's result, float around [-1, 1].
      mask_BThw: latent mask, 1 = hole; ``None`` for stages that fill none.
    """

    clean_BFHWC: jax.Array
    result_BFHWC: jax.Array
    mask_BThw: jax.Array | None


class Sampler(Protocol):
    """Makes clips with the weights under training; pure, to be jitted."""

    def __call__(
        self, trainable: trees.Tree, frozen: trees.Tree, encoders: trees.Tree, batch: Any, empty: Any, key: jax.Array
    ) -> Sampled:
        """One batch.

        Args:
          trainable: weights that the stage trains.
          frozen: weights that it does not.
          encoders: weights of the encoders.
          batch: of the stage, from `Stage.inputs`.
          empty: from `Stage.empty_caption`.
          key: of the noise.
        """
        ...


class Stage(Protocol):
    """One stage; static and hashable. Weights, batches and random numbers are arguments of its methods."""

    def __hash__(self) -> int: ...

    @property
    def kind(self) -> str:
        """Name in the registry."""
        ...

    @property
    def needs_pixels(self) -> bool:
        """Latents will not do as data."""
        ...

    @property
    def needs_masks(self) -> bool:
        """The data must have holes."""
        ...

    @property
    def denoises(self) -> bool:
        """Its loss depends on a timestep."""
        ...

    @property
    def companions(self) -> tuple[str, ...]:
        """Folders of the run's checkpoint that the exported models are sampled with."""
        ...

    @property
    def samples_alone(self) -> bool:
        """The exported backbone is sampled without a context encoder."""
        ...

    def check_size(self, frames: int, height: int, width: int) -> None:
        """Check that clips of this size fit the models. Raises `UserError`."""
        ...

    # weights

    def shapes(self) -> Weights:
        """Shapes and types of both trees, nothing allocated."""
        ...

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> Mapping[str, Origin]:
        """Models that `start` takes, by name: ``backbone``, ``branch``, ``vae`` ...

        Args:
          checkpoint: the converted checkpoint of the run, if it has one.
          init_from: folder of a trained model to continue from, if one was given.
        """
        ...

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """Both trees before the first step, from the models that `origins` names. Pure."""
        ...

    # the step

    def inputs(self, encoders: Encoders, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array) -> Any:
        """The step's batch, a pytree, from the loader's; pure."""
        ...

    def draw(self, keys: StepKeys, batch: Any, schedule: Schedule, shift: float = 1.0) -> Any:
        """Random numbers of a step, a pytree with a leading batch axis; timesteps are moved to high noise by shift."""
        ...

    def draw_at(self, keys: StepKeys, batch: Any, schedule: Schedule, t: jax.Array) -> Any:
        """Like `draw`, with the timestep ``t`` for every example, where there are timesteps."""
        ...

    def example_weights(self, draws: Any, schedule: Schedule, min_snr: float) -> jax.Array:
        """Weights (B,) of the examples in the objective, with SNRs above ``min_snr`` cut off."""
        ...

    def loss(self, trainable: trees.Tree, frozen: trees.Tree, batch: Any, draws: Any, schedule: Schedule) -> Loss:
        """Loss of every example; differentiate it by ``trainable``."""
        ...

    def metrics(self, loss_B: jax.Array, draws: Any, schedule: Schedule) -> Metrics:
        """Metrics of a step in addition to the loss and the norms."""
        ...

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> float | None:
        """Operations of a step on ``batch`` examples of latents (T, h, w); ``None``: not counted."""
        ...

    # validation

    def whole_clips(self) -> Stage:
        """The stage as validation uses it: without crops."""
        ...

    def empty_caption(
        self, encoders: Encoders, weights: trees.Tree, ids_M: jax.Array, stored_ME: jax.Array | None
    ) -> jax.Array | None:
        """What the sampler takes as the empty caption.

        Args:
          encoders: descriptions of the encoders.
          weights: of the encoders.
          ids_M: its token ids.
          stored_ME: its embedding, if the data brings one.
        """
        ...

    def sampler(self, encoders: Encoders, settings: Settings, schedule: Schedule) -> Sampler:
        """Sampler with the weights under training. ``settings.window`` is the length of the clips."""
        ...

    # export

    def calibrated(self, trainable: trees.Tree, batches: Iterable[PixelBatch | LatentBatch]) -> Stage:
        """The stage with those numbers of its description that are measured on clips that no step has seen."""
        ...

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """The complete trained models, by the folder of a converted checkpoint."""
        ...

    def write_extras(self, folder: Path, schedule: Schedule) -> None:
        """Write what else belongs to the exported models into ``folder``, a converted checkpoint: a tokenizer ..."""
        ...
