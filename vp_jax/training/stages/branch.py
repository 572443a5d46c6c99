"""Stage 1 of VideoPainter (arXiv 2503.05639 section 3.2): the context encoder learns, the backbone is frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.inference.models import Models
from vp_jax.models.branch import init_from_backbone
from vp_jax.models.config import DEFAULT_INJECTION, BranchConfig, DiTConfig, Injection, VAEConfig
from vp_jax.models.folder import BACKBONE, ENCODERS, CheckpointFolder, abstract_model, read_description
from vp_jax.models.inpaint import predict
from vp_jax.training.encode import Encoded
from vp_jax.training.flops import hint_flops, transformer_flops, video_tokens
from vp_jax.training.models import Descriptions, ModelConfig, TrainingModels, behind_encoders
from vp_jax.training.stages.denoising import Inpainter, condition
from vp_jax.training.stages.stage import Exports
from vp_jax.training.stages.weights import (
    Origin,
    Weights,
    buffer_paths,
    compute_copy,
    float32_shapes,
    join_buffers,
    origin,
    random_weights,
    split_buffers,
)


@dataclasses.dataclass(frozen=True)
class BranchStage(Inpainter):
    """The context encoder on its frozen backbone.

    ``models["branch"]``, if given to `start`, is continued from; otherwise the encoder is the first backbone blocks.
    """

    backbone: DiTConfig
    branch: BranchConfig
    injection: Injection = DEFAULT_INJECTION

    kind = "branch"
    companions = (BACKBONE.folder, *ENCODERS)

    def shapes(self) -> Weights:
        """Context encoder without its position table; backbone and table."""
        weights, buffers = split_buffers(abstract_model(self.branch)[1], buffer_paths(self.branch))
        return Weights(float32_shapes(weights), {"backbone": abstract_model(self.backbone)[1], "branch": buffers})

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> dict[str, Origin]:
        """The backbone, and the context encoder to continue from, read in float32."""
        models = {"backbone": origin(checkpoint, BACKBONE, self.backbone)}
        if init_from is not None:
            models["branch"] = Origin(float32_shapes(abstract_model(self.branch)[1]), init_from)
        return models

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """The context encoder to continue from, or a new one, copied from the first backbone blocks."""
        branch = models.get("branch")
        if branch is None:
            channels = self.branch.dit.out_channels
            branch = init_from_backbone(models["backbone"], random_weights(self.branch, key), channels)
        weights, buffers = split_buffers(branch, buffer_paths(self.branch))
        buffers = trees.cast(buffers, jnp.dtype(self.branch.dit.param_dtype))
        return Weights(trees.cast(weights, jnp.float32), {"backbone": models["backbone"], "branch": buffers})

    def whole(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The context encoder with its position table."""
        return join_buffers(trainable, frozen["branch"])

    def predicted(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Encoded, t_B: jax.Array
    ) -> jax.Array:
        """What the backbone predicts (B, T, h, w, C) with the context encoder's hints."""
        backbone = nnx.merge(abstract_model(self.backbone)[0], frozen["backbone"])
        working = compute_copy(trainable, self.branch.dit.dtype)
        branch = nnx.merge(abstract_model(self.branch)[0], self.whole(working, frozen))
        return predict(
            backbone,
            branch,
            x_t,
            batch.image_latents_BThwC,
            condition(batch, self.backbone.patch),
            batch.text_BME,
            t_B,
            injection=self.injection,
        ).sample

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> float:
        """Two passes of the frozen matmuls, three of the trained ones and of attention."""
        tokens = video_tokens(self.backbone, frames, rows, columns)
        backbone, branch = (transformer_flops(cfg, tokens) for cfg in (self.backbone, self.branch.dit))
        trained = 3 * (branch.matmul + hint_flops(self.branch, tokens)) + 3 * branch.attention
        return batch * (2 * backbone.matmul + 3 * backbone.attention + trained)

    def sampling_models(self, vae: VAEConfig) -> Models:
        """Backbone and context encoder."""
        return Models(dataclasses.replace(self.backbone, remat=""), self.branch, vae)

    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """Frozen backbone, trained context encoder."""
        return {"backbone": frozen["backbone"], "branch": self.whole(trainable, frozen), "loras": []}

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """The context encoder."""
        return {"branch": (self.branch, self.whole(trainable, frozen))}


def branch_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """The models of a run of this stage; reads JSON at most.

    Raises:
      UserError: a name or folder that is no model, or more layers than the backbone has.
    """
    found = Descriptions.of(cfg).computed(cfg, platform)
    layers = cfg.branch_layers
    if cfg.continued is not None:
        layers = read_description(cfg.continued, BranchConfig).dit.num_layers
    elif layers > found.backbone.num_layers:
        raise UserError(
            f"branch_layers {layers}: expected at most {found.backbone.num_layers}, the layers of the backbone that "
            f"they are copied from"
        )
    branch = BranchConfig(dataclasses.replace(found.branch.dit, num_layers=layers))
    stage = BranchStage(found.backbone, branch, Injection(tokens=cfg.injection_tokens))
    return behind_encoders(cfg, found, stage)
