"""A style or a domain from few clips: a LoRA on the frozen backbone (arXiv 2106.09685) for ``--lora`` of sampling.

The adapter learns to denoise complete clips from their captions, as the backbone did. It knows of no holes and of no
context encoder, so it works with any that belongs to the same backbone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.inference.models import Models
from vp_jax.inference.state import WindowLatents
from vp_jax.models import lora
from vp_jax.models.config import DiTConfig, LoRAConfig, VAEConfig
from vp_jax.models.folder import BACKBONE, BRANCH, ENCODERS, CheckpointFolder, abstract_model, read_description
from vp_jax.models.inpaint import Condition
from vp_jax.models.silent_branch import silent_branch, silent_weights
from vp_jax.training.encode import Encoders, token_ids
from vp_jax.training.flops import transformer_flops, video_tokens
from vp_jax.training.models import Descriptions, ModelConfig, TrainingModels, behind_encoders
from vp_jax.training.stages.denoising import Denoiser, with_image
from vp_jax.training.stages.id_adapter import ADAPTED_LINEARS
from vp_jax.training.stages.sampling import SamplerInputs
from vp_jax.training.stages.stage import Exports
from vp_jax.training.stages.weights import Origin, Weights, compute_copy, origin

STYLE_FOLDER = "style_lora"
"""Folder of an export that the adapter is in."""


class StyledClips(NamedTuple):
    """What the stage trains on: scaled latents, embeddings of the captions, image condition of I2V backbones."""

    latents_BThwC: jax.Array
    text_BME: jax.Array
    image_latents_BThwC: jax.Array | None = None


@dataclasses.dataclass(frozen=True)
class StyleStage(Denoiser[StyledClips]):
    """The adapter on its frozen backbone."""

    backbone: DiTConfig
    lora: LoRAConfig

    kind = "style_lora"
    companions = (BACKBONE.folder, BRANCH.folder, *ENCODERS)

    def shapes(self) -> Weights:
        """The adapter; the backbone."""
        backbone = abstract_model(self.backbone)[1]
        return Weights(jax.eval_shape(lambda: lora.init(self.lora, backbone, jax.random.key(0))), backbone)

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> dict[str, Origin]:
        """The backbone, and the adapter to continue from."""
        models = {"backbone": origin(checkpoint, BACKBONE, self.backbone)}
        if init_from is not None:
            models[STYLE_FOLDER] = Origin(self.shapes().trainable, init_from)
        return models

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """The adapter to continue from, or one that changes nothing."""
        adapter = models.get(STYLE_FOLDER)
        if adapter is None:
            adapter = lora.init(self.lora, models["backbone"], key)
        return Weights(trees.cast(adapter, jnp.float32), models["backbone"])

    def inputs(
        self, encoders: Encoders, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array
    ) -> StyledClips:
        """The step's batch from the loader's."""
        clips = encoders.encode_clips(weights, batch, key)
        text_BME = batch.text_BME if isinstance(batch, LatentBatch) else None
        if text_BME is None:
            text_BME = encoders.text(weights, token_ids(batch))
        return StyledClips(clips.latents_BThwC, text_BME, clips.image_latents_BThwC)

    def predicted(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: StyledClips, t_B: jax.Array
    ) -> jax.Array:
        """What the backbone with the adapter predicts (B, T, h, w, C)."""
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = lora.attach(nnx.merge(abstract_model(self.backbone)[0], frozen), [(self.lora, working)])
        output: jax.Array = backbone(with_image(x_t, batch.image_latents_BThwC), batch.text_BME, t_B).sample
        return output

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> float:
        """Two passes of the frozen matmuls, three of attention and of the adapter."""
        cfg = self.backbone
        tokens = video_tokens(cfg, frames, rows, columns)
        backbone = transformer_flops(cfg, tokens)
        adapter = cfg.num_layers * len(self.lora.targets) * 4 * (tokens + cfg.max_text_len) * cfg.dim * self.lora.rank
        return batch * (2 * backbone.matmul + 3 * backbone.attention + 3 * adapter)

    def sampling_models(self, vae: VAEConfig) -> Models:
        """Backbone with the adapter, and a context encoder whose hints are zero."""
        return Models(dataclasses.replace(self.backbone, remat=""), silent_branch(self.backbone), vae, (self.lora,))

    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """Frozen backbone, silent context encoder, trained adapter."""
        return {"backbone": frozen, "branch": silent_weights(self.backbone, frozen), "loras": [trainable]}

    def sampling_inputs(self, trainable: trees.Tree, batch: StyledClips, empty: jax.Array) -> SamplerInputs:
        """Whole clips are made from their captions, all of them hole."""
        video = batch.latents_BThwC
        hole = Condition.of(jnp.zeros_like(video), jnp.ones(video.shape[:-1]), self.backbone.patch)
        latents = WindowLatents(batch.image_latents_BThwC, video, hole)
        return SamplerInputs(latents, batch.text_BME, empty, None)

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """The adapter."""
        return {STYLE_FOLDER: (self.lora, trainable)}


def style_lora_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """The models of a run of this stage; reads JSON at most. Raises `UserError` for a name or folder that is none."""
    found = Descriptions.of(cfg).computed(cfg, platform)
    adapter = LoRAConfig(targets=ADAPTED_LINEARS, rank=cfg.rank, scale=cfg.alpha / cfg.rank)
    if cfg.continued is not None:
        adapter = read_description(cfg.continued, LoRAConfig)
    return behind_encoders(cfg, found, StyleStage(found.backbone, adapter))
