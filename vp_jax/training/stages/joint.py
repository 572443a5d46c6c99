"""Transformer, text encoder and context encoder from scratch, in one run, where no published weights are used.

VideoPainter trains the context encoder on a backbone that is frozen (paper section 3.2), which was trained for months.
A backbone of hours has little to freeze: here all three learn together to fill holes. Part of the examples come without
hints, so that the backbone stays a model of clips by itself, and later stages may freeze it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.inference.models import Models
from vp_jax.inference.named import write_settings
from vp_jax.inference.state import WindowLatents
from vp_jax.models.branch import init_from_backbone
from vp_jax.models.config import DEFAULT_INJECTION, BranchConfig, DiTConfig, Injection, T5Config, VAEConfig
from vp_jax.models.folder import AUTOENCODER, BRANCH, CheckpointFolder, abstract_model
from vp_jax.models.inpaint import Condition, predict
from vp_jax.training.encode import Encoders, token_ids
from vp_jax.training.flops import hint_flops, transformer_flops, video_tokens
from vp_jax.training.models import ModelConfig, TrainingModels
from vp_jax.training.stages.backbone import BackboneStage, backbone_models
from vp_jax.training.stages.denoising import Denoiser
from vp_jax.training.stages.sampling import SamplerInputs
from vp_jax.training.stages.stage import Exports
from vp_jax.training.stages.weights import (
    Origin,
    Weights,
    buffer_paths,
    compute_copy,
    float32_shapes,
    join_buffers,
    random_weights,
    split_buffers,
)


class CaptionedHoles(NamedTuple):
    """What the stage trains on.

    Attributes:
      latents_BThwC, masked_latents_BThwC: scaled latents of the clean video and of the one with black holes.
      mask_BThw: latent mask of the data, 1 = hole.
      hidden_BThw: latent mask that the networks see: that of the data, or 1 everywhere where an example has no hints.
      input_ids_BM: token ids of the captions.
      image_latents_BThwC: image condition of I2V backbones.
    """

    latents_BThwC: jax.Array
    masked_latents_BThwC: jax.Array
    mask_BThw: jax.Array
    hidden_BThw: jax.Array
    input_ids_BM: jax.Array
    image_latents_BThwC: jax.Array | None = None


@dataclasses.dataclass(frozen=True)
class JointStage(Denoiser[CaptionedHoles]):
    """All models behind the VAE learn together.

    Attributes:
      backbone, branch, t5: descriptions.
      hint_dropout: probability that an example comes without hints.
      injection: which tokens get hints.
      vocabulary: sentencepiece file of the text encoder, which is exported with it.
    """

    backbone: DiTConfig
    branch: BranchConfig
    t5: T5Config
    hint_dropout: float = 0.0
    injection: Injection = DEFAULT_INJECTION
    vocabulary: Path | None = None

    kind = "joint"
    needs_masks = True
    companions = (AUTOENCODER.folder,)

    @property
    def _generator(self) -> BackboneStage:
        """The stage of the transformer and the text encoder alone."""
        return BackboneStage(self.backbone, self.t5, self.vocabulary)

    def shapes(self) -> Weights:
        """All three models without position tables; the tables."""
        generator = self._generator.shapes()
        weights, buffers = split_buffers(abstract_model(self.branch)[1], buffer_paths(self.branch))
        return Weights(
            {**generator.trainable, "branch": float32_shapes(weights)}, {**generator.frozen, "branch": buffers}
        )

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> dict[str, Origin]:
        """A random text encoder, or the three models of the folder to continue from."""
        models = self._generator.origins(checkpoint, init_from)
        if init_from is not None:
            branch = self.whole(*self.shapes(), "branch")
            models["branch"] = Origin(branch, CheckpointFolder(init_from).of(BRANCH))
        return models

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """The models as they are continued, or a fresh backbone and a context encoder copied from its first blocks."""
        keys = jax.random.split(key)
        generator = self._generator.start(models, keys[0])
        branch = models.get("branch")
        if branch is None:
            backbone = self._generator.whole(*generator)
            branch = init_from_backbone(backbone, random_weights(self.branch, keys[1]), self.backbone.out_channels)
        weights, buffers = split_buffers(branch, buffer_paths(self.branch))
        trainable, frozen = {**generator.trainable, "branch": weights}, {**generator.frozen, "branch": buffers}
        return Weights(trees.cast(trainable, jnp.float32), trees.cast(frozen, jnp.dtype(self.backbone.param_dtype)))

    def whole(self, trainable: trees.Tree, frozen: trees.Tree, name: str) -> trees.Tree:
        """``backbone`` or ``branch`` with its position table."""
        return join_buffers(trainable[name], frozen[name])

    def inputs(
        self, encoders: Encoders, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array
    ) -> CaptionedHoles:
        """The step's batch from the loader's; draws which examples have no hints."""
        encode_key, drop_key = jax.random.split(key)
        clips = encoders.encode_holes(weights, batch, encode_key)
        dropped_B = jax.random.bernoulli(drop_key, self.hint_dropout, clips.mask_BThw.shape[:1])
        hidden_BThw = jnp.where(dropped_B[:, None, None, None], 1.0, clips.mask_BThw)
        return CaptionedHoles(
            clips.latents_BThwC,
            clips.masked_latents_BThwC,
            clips.mask_BThw,
            hidden_BThw,
            token_ids(batch),
            clips.image_latents_BThwC,
        )

    def hole(self, batch: CaptionedHoles) -> jax.Array:
        """Latent mask (B, T, h, w) of the data."""
        return batch.mask_BThw

    def predicted(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: CaptionedHoles, t_B: jax.Array
    ) -> jax.Array:
        """What the transformer predicts (B, T, h, w, C), with everything under training."""
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = nnx.merge(abstract_model(self.backbone)[0], self.whole(working, frozen, "backbone"))
        branch = nnx.merge(abstract_model(self.branch)[0], self.whole(working, frozen, "branch"))
        seen = Condition.of(batch.masked_latents_BThwC, batch.hidden_BThw, self.backbone.patch)
        text_BME = self._generator.text(working, batch.input_ids_BM)
        given = (batch.image_latents_BThwC, seen, text_BME, t_B)
        return predict(backbone, branch, x_t, *given, injection=self.injection).sample

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> float:
        """Three passes of both transformers; the much smaller text encoder is left out."""
        tokens = video_tokens(self.backbone, frames, rows, columns)
        once = sum(sum(transformer_flops(cfg, tokens)) for cfg in (self.backbone, self.branch.dit))
        return 3 * batch * (once + hint_flops(self.branch, tokens))

    def whole_clips(self) -> Self:
        """Every example has its hints."""
        return dataclasses.replace(self, hint_dropout=0.0)

    def empty_caption(
        self, encoders: Encoders, weights: trees.Tree, ids_M: jax.Array, stored_ME: jax.Array | None
    ) -> jax.Array:
        """Token ids (M,): the text encoder is under training, the sampler embeds them."""
        return self._generator.empty_caption(encoders, weights, ids_M, stored_ME)

    def sampling_models(self, vae: VAEConfig) -> Models:
        """Backbone and context encoder."""
        return Models(dataclasses.replace(self.backbone, remat=""), self.branch, vae)

    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """Both as they are under training."""
        return {**{name: self.whole(trainable, frozen, name) for name in ("backbone", "branch")}, "loras": []}

    def sampling_inputs(self, trainable: trees.Tree, batch: CaptionedHoles, empty: jax.Array) -> SamplerInputs:
        """Latents, condition and text of the data."""
        given = Condition.of(batch.masked_latents_BThwC, batch.mask_BThw, self.backbone.patch)
        latents = WindowLatents(batch.image_latents_BThwC, batch.latents_BThwC, given)
        text = self._generator.text
        return SamplerInputs(
            latents, text(trainable, batch.input_ids_BM), text(trainable, empty[None])[0], batch.mask_BThw
        )

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """Transformer, context encoder and text encoder."""
        return {
            "transformer": (self.backbone, self.whole(trainable, frozen, "backbone")),
            "branch": (self.branch, self.whole(trainable, frozen, "branch")),
            "text_encoder": (self.t5, trainable["t5"]),
        }

    def write_extras(self, folder: Path, schedule: Schedule) -> None:
        """Tokenizer, schedule, and which tokens get hints if these are others than published."""
        self._generator.write_extras(folder, schedule)
        if self.injection != DEFAULT_INJECTION:
            write_settings(folder, {"injection": self.injection})


def joint_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """The models of a run of this stage: the VAE of the checkpoint, the others by name; reads JSON at most.

    Raises:
      UserError: a name or folder that is no model, a model without a text encoder, or more layers than the
        backbone has.
    """
    models = backbone_models(cfg, platform)
    generator = models.stage
    assert isinstance(generator, BackboneStage)
    backbone, layers = generator.backbone, cfg.branch_layers
    if layers > backbone.num_layers:
        raise UserError(f"branch_layers {layers}: expected at most {backbone.num_layers}, the layers of the backbone")
    channels = 2 * backbone.out_channels + 1
    branch = BranchConfig(
        dataclasses.replace(backbone, num_layers=layers, in_channels=channels, remat=cfg.branch_remat)
    )
    stage = JointStage(
        backbone, branch, generator.t5, cfg.hint_dropout, Injection(tokens=cfg.injection_tokens), generator.vocabulary
    )
    return dataclasses.replace(models, stage=stage)
