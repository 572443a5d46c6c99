"""Transformer and text encoder from scratch, where no published weights are used: behind the VAE, before the others.

They learn together to denoise clips without holes: gradients reach the text encoder, so that the joint embedding
of captions is learned with the transformer.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.checkpoint import save_config
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.diffusion.schedule import Schedule
from vp_jax.digests import record_files
from vp_jax.errors import UserError
from vp_jax.inference.models import Models
from vp_jax.inference.state import WindowLatents
from vp_jax.models.config import DiTConfig, T5Config, VAEConfig
from vp_jax.models.folder import (
    AUTOENCODER,
    BACKBONE,
    SCHEDULER,
    TEXT_ENCODER,
    CheckpointFolder,
    abstract_model,
)
from vp_jax.models.inpaint import Condition
from vp_jax.models.silent_branch import silent_branch, silent_weights
from vp_jax.training.encode import Encoders, token_ids
from vp_jax.training.flops import transformer_flops, video_tokens
from vp_jax.training.models import Descriptions, ModelConfig, TrainingModels
from vp_jax.training.stages.denoising import Denoiser, with_image
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


class CaptionedLatents(NamedTuple):
    """What the stage trains on: scaled latents, token ids of the captions, image condition of I2V backbones."""

    latents_BThwC: jax.Array
    input_ids_BM: jax.Array
    image_latents_BThwC: jax.Array | None = None


@dataclasses.dataclass(frozen=True)
class BackboneStage(Denoiser[CaptionedLatents]):
    """Transformer and text encoder learn together; the loader draws where the image condition is dropped.

    Attributes:
      backbone, t5: descriptions.
      vocabulary: sentencepiece file of the text encoder, which is exported with it.
    """

    backbone: DiTConfig
    t5: T5Config
    vocabulary: Path | None = None

    kind = "backbone"
    companions = (AUTOENCODER.folder,)
    samples_alone = True

    def shapes(self) -> Weights:
        """Transformer without its position table, and text encoder; the table."""
        weights, buffers = split_buffers(abstract_model(self.backbone)[1], buffer_paths(self.backbone))
        return Weights(float32_shapes({"backbone": weights, "t5": abstract_model(self.t5)[1]}), {"backbone": buffers})

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> dict[str, Origin]:
        """A random text encoder, or both models of the folder to continue from."""
        shapes = self.shapes()
        if init_from is None:
            return {"t5": Origin(shapes.trainable["t5"], None)}
        source = CheckpointFolder(init_from)
        return {
            "backbone": Origin(self.whole(shapes.trainable, shapes.frozen), source.of(BACKBONE)),
            "t5": Origin(shapes.trainable["t5"], source.of(TEXT_ENCODER)),
        }

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """Both models as they are continued, or prepared to train fast from random weights."""
        backbone = models.get("backbone")
        if backbone is None:
            backbone = fresh_backbone(random_weights(self.backbone, key))
        weights, buffers = split_buffers(backbone, buffer_paths(self.backbone))
        t5 = models["t5"] if "backbone" in models else fresh_t5(self.t5, models["t5"])
        return Weights(trees.cast({"backbone": weights, "t5": t5}, jnp.float32), {"backbone": buffers})

    def whole(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The transformer with its position table."""
        return join_buffers(trainable["backbone"], frozen["backbone"])

    def inputs(
        self, encoders: Encoders, weights: trees.Tree, batch: PixelBatch | LatentBatch, key: jax.Array
    ) -> CaptionedLatents:
        """The step's batch from the loader's."""
        clips = encoders.encode_clips(weights, batch, key)
        return CaptionedLatents(clips.latents_BThwC, token_ids(batch), clips.image_latents_BThwC)

    def text(self, trainable: trees.Tree, ids_BM: jax.Array) -> jax.Array:
        """Embeddings BME of token ids."""
        embeddings: jax.Array = nnx.merge(abstract_model(self.t5)[0], trainable["t5"])(ids_BM)
        return embeddings

    def predicted(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: CaptionedLatents, t_B: jax.Array
    ) -> jax.Array:
        """What the transformer predicts (B, T, h, w, C), with the text encoder under training."""
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = nnx.merge(abstract_model(self.backbone)[0], self.whole(working, frozen))
        latents = with_image(x_t, batch.image_latents_BThwC)
        output: jax.Array = backbone(latents, self.text(working, batch.input_ids_BM), t_B).sample
        return output

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> float:
        """Three passes of the transformer; the much smaller text encoder is left out."""
        return 3 * batch * sum(transformer_flops(self.backbone, video_tokens(self.backbone, frames, rows, columns)))

    def empty_caption(
        self, encoders: Encoders, weights: trees.Tree, ids_M: jax.Array, stored_ME: jax.Array | None
    ) -> jax.Array:
        """Token ids (M,): the text encoder is under training, the sampler embeds them."""
        return ids_M

    def sampling_models(self, vae: VAEConfig) -> Models:
        """The transformer, and a context encoder whose hints are zero."""
        return Models(dataclasses.replace(self.backbone, remat=""), silent_branch(self.backbone), vae)

    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """Trained transformer, silent context encoder."""
        backbone = self.whole(trainable, frozen)
        return {"backbone": backbone, "branch": silent_weights(self.backbone, backbone), "loras": []}

    def sampling_inputs(self, trainable: trees.Tree, batch: CaptionedLatents, empty: jax.Array) -> SamplerInputs:
        """Whole clips are made, all of them hole."""
        video = batch.latents_BThwC
        hole = Condition.of(jnp.zeros_like(video), jnp.ones(video.shape[:-1]), self.backbone.patch)
        latents = WindowLatents(batch.image_latents_BThwC, video, hole)
        text_BME, empty_ME = self.text(trainable, batch.input_ids_BM), self.text(trainable, empty[None])[0]
        return SamplerInputs(latents, text_BME, empty_ME, None)

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """Transformer and text encoder."""
        return {
            "transformer": (self.backbone, self.whole(trainable, frozen)),
            "text_encoder": (self.t5, trainable["t5"]),
        }

    def write_extras(self, folder: Path, schedule: Schedule) -> None:
        """Tokenizer and schedule."""
        assert self.vocabulary is not None  # no loader without one
        target = CheckpointFolder(folder).vocabulary()
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.vocabulary, target)
        record_files(target.parent)
        values = {"kind": "scheduler", "sampler": "dpm", **dataclasses.asdict(schedule)}
        save_config(folder / SCHEDULER, values)


def fresh_backbone(weights: trees.Tree) -> trees.Tree:
    """Modulations and the head start at zero: every block does nothing at first (adaLN-Zero, arXiv 2212.09748)."""
    zero = ("norm1/linear", "norm2/linear", "norm_out/linear", "proj_out")
    return trees.unflatten(
        {
            path: jnp.zeros_like(leaf) if path.rpartition("/")[0].endswith(zero) else leaf
            for path, leaf in trees.flatten(weights).items()
        }
    )


def fresh_t5(cfg: T5Config, weights: trees.Tree) -> trees.Tree:
    """Embeddings of unit variance, and queries so small that logits, which T5 does not scale, start near 1."""
    flat = dict(trees.flatten(weights))
    flat["embed/embedding"] = flat["embed/embedding"] * cfg.vocab_size**0.5
    flat["blocks/attn/to_q/kernel"] = flat["blocks/attn/to_q/kernel"] * cfg.head_dim**-0.5
    return trees.unflatten(flat)


def backbone_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """The models of a run of this stage: the VAE of the checkpoint, the others by name; reads JSON at most.

    Raises:
      UserError: a name or folder that is no model, or a model without a text encoder.
    """
    found = Descriptions.named(cfg.name)
    if cfg.source is not None:
        found = dataclasses.replace(found, vae=cfg.source.describe(AUTOENCODER))
    vocabulary = Path(cfg.tokenizer) if cfg.tokenizer else None
    if cfg.continued is not None:
        trained = CheckpointFolder(cfg.continued)
        found = dataclasses.replace(found, backbone=trained.describe(BACKBONE), t5=trained.describe(TEXT_ENCODER))
        vocabulary = vocabulary or trained.vocabulary()
    found = found.computed(cfg, platform)
    if found.t5 is None:
        raise UserError(f"model {cfg.name!r} has no text encoder to train: expected another name, such as nano")
    stage = BackboneStage(found.backbone, found.t5, vocabulary)
    encoders = dataclasses.replace(found.encoders(cfg), t5=None)
    text_len = found.backbone.max_text_len
    return TrainingModels(stage, encoders, found.schedule, text_len, reads_captions=True, vocabulary=vocabulary)
