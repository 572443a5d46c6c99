"""Stage 2 of VideoPainter (arXiv 2503.05639 section 3.3): the ID adapter learns, all else is frozen.

A LoRA on q, k, v and out of every backbone block, whose attention also runs over masked extra keys; it starts as an
adapter that changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.inference.models import Models
from vp_jax.models import lora
from vp_jax.models.config import DEFAULT_INJECTION, BranchConfig, DiTConfig, Injection, LoRAConfig, VAEConfig
from vp_jax.models.folder import BACKBONE, BRANCH, ENCODERS, CheckpointFolder, abstract_model, read_description
from vp_jax.models.id_resample import Resample
from vp_jax.models.injection import joint_mask
from vp_jax.models.inpaint import predict
from vp_jax.training.encode import Encoded
from vp_jax.training.flops import hint_flops, transformer_flops, video_tokens
from vp_jax.training.models import Descriptions, ModelConfig, TrainingModels, behind_encoders
from vp_jax.training.stages.denoising import Inpainter, condition
from vp_jax.training.stages.stage import Exports
from vp_jax.training.stages.weights import Origin, Weights, compute_copy, origin

ADAPTED_LINEARS = tuple(f"blocks/attn/to_{name}" for name in ("q", "k", "v", "out"))
"""Linears of the backbone that the ID adapter changes."""


@dataclasses.dataclass(frozen=True)
class AdapterStage(Inpainter):
    """The ID adapter on frozen backbone and context encoder."""

    backbone: DiTConfig
    branch: BranchConfig
    lora: LoRAConfig
    injection: Injection = DEFAULT_INJECTION

    kind = "id_adapter"
    companions = (BACKBONE.folder, BRANCH.folder, *ENCODERS)

    def shapes(self) -> Weights:
        """The adapter; backbone and context encoder."""
        frozen = {"backbone": abstract_model(self.backbone)[1], "branch": abstract_model(self.branch)[1]}
        adapter = jax.eval_shape(lambda: lora.init(self.lora, frozen["backbone"], jax.random.key(0)))
        return Weights(adapter, frozen)

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> dict[str, Origin]:
        """Backbone and context encoder, and the adapter to continue from."""
        models = {
            "backbone": origin(checkpoint, BACKBONE, self.backbone),
            "branch": origin(checkpoint, BRANCH, self.branch),
        }
        if init_from is not None:
            models["id_adapter"] = Origin(self.shapes().trainable, init_from)
        return models

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """The adapter to continue from, or one that changes nothing."""
        adapter = models.get("id_adapter")
        if adapter is None:
            adapter = lora.init(self.lora, models["backbone"], key)
        frozen = {"backbone": models["backbone"], "branch": models["branch"]}
        return Weights(trees.cast(adapter, jnp.float32), frozen)

    def predicted(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Encoded, t_B: jax.Array
    ) -> jax.Array:
        """What the transformer predicts (B, T, h, w, C), with attention over the window's own masked tokens again."""
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = lora.attach(nnx.merge(abstract_model(self.backbone)[0], frozen["backbone"]), [(self.lora, working)])
        branch = nnx.merge(abstract_model(self.branch)[0], frozen["branch"])
        given = condition(batch, self.backbone.patch)
        return predict(
            backbone,
            branch,
            x_t,
            batch.image_latents_BThwC,
            given,
            batch.text_BME,
            t_B,
            injection=self.injection,
            resample=Resample(True, joint_mask(given.tokens_BN, batch.text_BME.shape[1])),
        ).sample

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> float:
        """Two passes of the frozen backbone, three of attention and of the adapter, one of the context encoder."""
        cfg = self.backbone
        tokens = video_tokens(cfg, frames, rows, columns)
        backbone = transformer_flops(cfg, tokens)
        adapter = cfg.num_layers * len(ADAPTED_LINEARS) * 4 * (tokens + cfg.max_text_len) * cfg.dim * self.lora.rank
        branch = sum(transformer_flops(self.branch.dit, tokens)) + hint_flops(self.branch, tokens)
        return batch * (2 * backbone.matmul + 3 * backbone.attention + 3 * adapter + branch)

    def sampling_models(self, vae: VAEConfig) -> Models:
        """Backbone with the adapter, and context encoder."""
        return Models(dataclasses.replace(self.backbone, remat=""), self.branch, vae, (self.lora,))

    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """Frozen backbone and context encoder, trained adapter."""
        return {"backbone": frozen["backbone"], "branch": frozen["branch"], "loras": [trainable]}

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """The adapter."""
        return {"id_adapter": (self.lora, trainable)}


def adapter_config(rank: int = 256, alpha: float = 128.0) -> LoRAConfig:
    """The published ID adapter: scale ``alpha / rank`` = 0.5."""
    return LoRAConfig(targets=ADAPTED_LINEARS, rank=rank, scale=alpha / rank, extra_keys=True)


def id_adapter_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """The models of a run of this stage; reads JSON at most. Raises `UserError` for a name or folder that is none."""
    found = Descriptions.of(cfg).computed(cfg, platform)
    adapter = adapter_config(cfg.rank, cfg.alpha)
    if cfg.continued is not None:
        adapter = read_description(cfg.continued, LoRAConfig)
    stage = AdapterStage(found.backbone, found.branch, adapter, Injection(tokens=cfg.injection_tokens))
    return behind_encoders(cfg, found, stage)
