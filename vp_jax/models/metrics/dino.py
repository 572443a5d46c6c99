"""DINOv2: features of patches, without labels (Oquab et al. 2023, arXiv 2304.07193).

A pre-norm transformer, ``x + s_1 attention(norm(x))``, then ``x + s_2 mlp(norm(x))`` with learned scales s and exact
GELU. Pictures have the size of the position table, 518 x 518 pixels of 14 x 14 a patch. The giant model, whose mlp is
gated, is not this one.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax.models.metrics.channels import along_last

DINO_MEAN = (0.485, 0.456, 0.406)
DINO_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of the pixels that DINOv2 was trained on, values in [0, 1]."""

_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class DinoConfig:
    """A DINOv2 model; the defaults are the base model. ``image`` and ``patch`` are sides in pixels."""

    kind: ClassVar[str] = "dinov2"
    image: int = 518
    patch: int = 14
    width: int = 768
    layers: int = 12
    heads: int = 12


def _norm(width: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return nnx.LayerNorm(width, epsilon=_EPSILON, use_fast_variance=False, rngs=rngs)


class DinoBlock(nnx.Module):
    """One layer."""

    def __init__(self, cfg: DinoConfig, *, rngs: nnx.Rngs) -> None:
        width = cfg.width
        self.norm1, self.norm2 = _norm(width, rngs), _norm(width, rngs)
        self.query, self.key, self.value, self.dense = (nnx.Linear(width, width, rngs=rngs) for _ in range(4))
        self.scale1, self.scale2 = nnx.Param(jnp.ones(width)), nnx.Param(jnp.ones(width))
        self.fc1, self.fc2 = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)
        self.heads = cfg.heads

    def __call__(self, x_FSD: jax.Array) -> jax.Array:
        """Tokens (F, S, D)."""
        y_FSD = self.norm1(x_FSD)
        q, k, v = (to(y_FSD).reshape(*y_FSD.shape[:2], self.heads, -1) for to in (self.query, self.key, self.value))
        attended = jax.nn.dot_product_attention(q, k, v).reshape(y_FSD.shape)
        x_FSD = x_FSD + along_last(self.scale1[...], x_FSD) * self.dense(attended)
        hidden = nnx.gelu(self.fc1(self.norm2(x_FSD)), approximate=False)
        return x_FSD + along_last(self.scale2[...], x_FSD) * self.fc2(hidden)


class DINOv2(nnx.Module):
    """The network."""

    def __init__(self, cfg: DinoConfig, *, rngs: nnx.Rngs) -> None:
        side = (cfg.patch, cfg.patch)
        self.patches = nnx.Conv(3, cfg.width, side, side, padding="VALID", rngs=rngs)
        self.class_token = nnx.Param(jnp.zeros((1, 1, cfg.width)))
        self.positions = nnx.Param(jnp.zeros((1, (cfg.image // cfg.patch) ** 2 + 1, cfg.width)))
        self.blocks = nnx.List([DinoBlock(cfg, rngs=rngs) for _ in range(cfg.layers)])
        self.norm_out = _norm(cfg.width, rngs)
        self.cfg = cfg

    def __call__(self, frames_FHWC: jax.Array) -> jax.Array:
        """Features (F, rows, columns, D) of the patches of normalised pictures of the model's size."""
        x_FhwD = self.patches(frames_FHWC)
        F, h, w, D = x_FhwD.shape
        first = jnp.broadcast_to(self.class_token[...], (F, 1, D))
        x_FSD = jnp.concatenate([first, x_FhwD.reshape(F, h * w, D)], 1) + self.positions[...]
        for block in self.blocks:
            x_FSD = block(x_FSD)
        features_FhwD: jax.Array = self.norm_out(x_FSD)[:, 1:].reshape(F, h, w, D)
        return features_FhwD
