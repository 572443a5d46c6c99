"""The ablation "single-branch" (paper section 4.4): no context encoder, the backbone takes the condition and learns.

[noisy | image | masked video | mask] latents --> backbone        the new rows of its patch embedding start at zero
"""

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
from vp_jax.models.config import DiTConfig, VAEConfig
from vp_jax.models.folder import BACKBONE, CheckpointFolder, abstract_model
from vp_jax.models.silent_branch import silent_branch, silent_weights
from vp_jax.training.encode import Encoded
from vp_jax.training.flops import transformer_flops, video_tokens
from vp_jax.training.models import Descriptions, ModelConfig, TrainingModels, behind_encoders
from vp_jax.training.stages.denoising import Inpainter, condition, with_image
from vp_jax.training.stages.stage import Exports
from vp_jax.training.stages.weights import (
    Origin,
    Weights,
    buffer_paths,
    compute_copy,
    float32_shapes,
    join_buffers,
    origin,
    split_buffers,
)


@dataclasses.dataclass(frozen=True)
class SingleBranchStage(Inpainter):
    """All of the backbone learns; ``backbone`` is the widened one, see `widened`."""

    backbone: DiTConfig

    kind = "single_branch"
    samples_alone = True

    @property
    def narrow(self) -> DiTConfig:
        """The backbone that it starts from."""
        channels = self.backbone.in_channels - _extra(self.backbone)
        return dataclasses.replace(self.backbone, in_channels=channels, takes_condition=False)

    def shapes(self) -> Weights:
        """The widened backbone without its position table, and the table."""
        weights, buffers = split_buffers(abstract_model(self.backbone)[1], buffer_paths(self.backbone))
        return Weights(float32_shapes(weights), buffers)

    def origins(self, checkpoint: CheckpointFolder | None, init_from: Path | None) -> dict[str, Origin]:
        """The backbone before it is widened."""
        return {"backbone": origin(checkpoint, BACKBONE, self.narrow)}

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """The backbone with rows of zeros for the new channels of its patch embedding."""
        flat = dict(trees.flatten(models["backbone"]))
        kernel_VD = flat["patch_embed/proj/kernel"]
        rows = self.backbone.patch_values - kernel_VD.shape[0]
        flat["patch_embed/proj/kernel"] = jnp.pad(kernel_VD, ((0, rows), (0, 0)))
        weights, buffers = split_buffers(trees.unflatten(flat), buffer_paths(self.backbone))
        return Weights(trees.cast(weights, jnp.float32), buffers)

    def whole(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The backbone with its position table."""
        return join_buffers(trainable, frozen)

    def predicted(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Encoded, t_B: jax.Array
    ) -> jax.Array:
        """What the backbone predicts (B, T, h, w, C), which sees the condition itself."""
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = nnx.merge(abstract_model(self.backbone)[0], self.whole(working, frozen))
        latents = jnp.concatenate([with_image(x_t, batch.image_latents_BThwC), condition(batch).channels()], axis=-1)
        output: jax.Array = backbone(latents, batch.text_BME, t_B).sample
        return output

    def flops(self, batch: int, frames: int, rows: int, columns: int) -> float:
        """Three passes of everything."""
        return 3 * batch * sum(transformer_flops(self.backbone, video_tokens(self.backbone, frames, rows, columns)))

    def sampling_models(self, vae: VAEConfig) -> Models:
        """The backbone, and a context encoder whose hints are zero."""
        return Models(dataclasses.replace(self.backbone, remat=""), silent_branch(self.backbone), vae)

    def sampling_weights(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """Trained backbone, silent context encoder."""
        backbone = self.whole(trainable, frozen)
        return {"backbone": backbone, "branch": silent_weights(self.backbone, backbone), "loras": []}

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> Exports:
        """The widened backbone."""
        return {"transformer": (self.backbone, self.whole(trainable, frozen))}


def widened(backbone: DiTConfig) -> DiTConfig:
    """A backbone that also takes masked-video latents and the mask."""
    return dataclasses.replace(backbone, in_channels=backbone.in_channels + _extra(backbone), takes_condition=True)


def single_branch_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """The models of a run of this stage; reads JSON at most.

    Raises:
      UserError: a name or folder that is no model, or a trained model to continue from: this stage takes none.
    """
    if cfg.continued is not None:
        raise UserError("the single_branch stage starts from the checkpoint's backbone: leave init_from out")
    found = Descriptions.of(cfg).computed(cfg, platform)
    return behind_encoders(cfg, found, SingleBranchStage(widened(found.backbone)))


def _extra(backbone: DiTConfig) -> int:
    return backbone.out_channels + 1
