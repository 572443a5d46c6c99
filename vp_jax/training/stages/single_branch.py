"""The ablation "single-branch" (paper section 4.4): no context encoder, the backbone takes the condition and learns.

[noisy | image | masked video | mask] latents --> backbone        the new rows of its patch embedding start at zero
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.models.config import DiTConfig
from vp_jax.models.folder import abstract
from vp_jax.training.stages.denoising import Batch, Denoiser
from vp_jax.training.stages.videopainter import (
    Weights,
    buffer_paths,
    compute_copy,
    float32_shapes,
    join_buffers,
    split_buffers,
)


@dataclasses.dataclass(frozen=True)
class SingleBranchStage(Denoiser):
    """All of the backbone learns; ``backbone`` is the widened one, see `widened`."""

    backbone: DiTConfig

    @property
    def kind(self) -> str:
        return "single_branch"

    @property
    def models(self) -> tuple[str, ...]:
        return ("backbone",)

    @property
    def narrow(self) -> DiTConfig:
        """The backbone that it starts from."""
        return dataclasses.replace(self.backbone, in_channels=self.backbone.in_channels - _extra(self.backbone))

    def shapes(self) -> Weights:
        weights, buffers = split_buffers(abstract(self.backbone)[1], buffer_paths(self.backbone))
        return Weights(float32_shapes(weights), buffers)

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        flat = dict(trees.flatten(models["backbone"]))
        kernel_VD = flat["patch_embed/proj/kernel"]
        rows = self.backbone.patch_values - kernel_VD.shape[0]
        flat["patch_embed/proj/kernel"] = jnp.pad(kernel_VD, ((0, rows), (0, 0)))
        weights, buffers = split_buffers(trees.unflatten(flat), buffer_paths(self.backbone))
        return Weights(trees.cast(weights, jnp.float32), buffers)

    def whole(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The backbone with its position table."""
        return join_buffers(trainable, frozen)

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> dict[str, tuple[DiTConfig, trees.Tree]]:
        return {"transformer": (self.backbone, self.whole(trainable, frozen))}

    def velocity(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Batch, t_B: jax.Array
    ) -> jax.Array:
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = nnx.merge(abstract(self.backbone)[0], self.whole(working, frozen))
        image = batch.get("image_latents_BThwC")
        latents = [
            x_t,
            *([] if image is None else [image]),
            batch["masked_latents_BThwC"],
            batch["mask_BThw"][..., None],
        ]
        return backbone(jnp.concatenate(latents, axis=-1), batch["text_BMD"], t_B).sample


def widened(backbone: DiTConfig) -> DiTConfig:
    """A backbone that also takes masked-video latents and the mask."""
    return dataclasses.replace(backbone, in_channels=backbone.in_channels + _extra(backbone))


def _extra(backbone: DiTConfig) -> int:
    return backbone.out_channels + 1
