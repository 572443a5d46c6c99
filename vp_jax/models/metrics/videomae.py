"""VideoMAE: the encoder of a masked autoencoder of videos (Tong et al. 2022, arXiv 2203.12602).

A pre-norm transformer, ``x + attention(norm(x))``, then ``x + mlp(norm(x))`` with exact GELU; keys have no bias. Tokens
are boxes of 2 frames and 16 x 16 pixels, to which sines and cosines of their number are added (`sinusoid_table`). The
features of a clip are the mean of all tokens. Pretrained models normalise the tokens before it, fine-tuned ones the
mean.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

VIDEOMAE_MEAN = (0.485, 0.456, 0.406)
VIDEOMAE_STD = (0.229, 0.224, 0.225)
"""Mean and deviation of the pixels that VideoMAE was trained on, values in [0, 1]."""


@dataclasses.dataclass(frozen=True)
class VideoMaeConfig:
    """A VideoMAE model; the defaults are the fine-tuned base model.

    Attributes:
      image, patch: side of pictures and of a token's box in pixels.
      frames, tubelet: frames of a clip, and of a token's box.
      width, hidden, layers, heads: of the encoder; ``hidden`` is the width inside an mlp.
      epsilon, epsilon_out: of the norms of layers, and of the last one.
      pooled: the last norm is that of the mean, as in fine-tuned models; else that of the tokens before it.
    """

    kind: ClassVar[str] = "videomae"
    image: int = 224
    patch: int = 16
    frames: int = 16
    tubelet: int = 2
    width: int = 768
    hidden: int = 3072
    layers: int = 12
    heads: int = 12
    epsilon: float = 1e-12
    epsilon_out: float = 1e-5
    pooled: bool = True


@functools.lru_cache(maxsize=4)
def sinusoid_table(places: int, width: int) -> np.ndarray:
    """Sine and cosine of ``place / 10000^(2 i / width)`` in turns, i from 0 to width / 2; float32 (places, width)."""
    rate = 10000.0 ** (-2 * (np.arange(width) // 2) / width)
    angle_ND = np.arange(places)[:, None] * rate
    table_ND: np.ndarray = np.where(np.arange(width) % 2, np.cos(angle_ND), np.sin(angle_ND)).astype(np.float32)
    return table_ND


def _norm(width: int, epsilon: float, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return nnx.LayerNorm(width, epsilon=epsilon, use_fast_variance=False, rngs=rngs)


class VideoMAEBlock(nnx.Module):
    """One layer."""

    def __init__(self, cfg: VideoMaeConfig, *, rngs: nnx.Rngs) -> None:
        width = cfg.width
        self.norm1, self.norm2 = _norm(width, cfg.epsilon, rngs), _norm(width, cfg.epsilon, rngs)
        self.query, self.value, self.dense = (nnx.Linear(width, width, rngs=rngs) for _ in range(3))
        self.key = nnx.Linear(width, width, use_bias=False, rngs=rngs)
        self.fc1, self.fc2 = nnx.Linear(width, cfg.hidden, rngs=rngs), nnx.Linear(cfg.hidden, width, rngs=rngs)
        self.heads = cfg.heads

    def __call__(self, x_BND: jax.Array) -> jax.Array:
        """Tokens (B, N, D)."""
        y_BND = self.norm1(x_BND)
        q, k, v = (to(y_BND).reshape(*y_BND.shape[:2], self.heads, -1) for to in (self.query, self.key, self.value))
        x_BND = x_BND + self.dense(jax.nn.dot_product_attention(q, k, v).reshape(y_BND.shape))
        return x_BND + self.fc2(nnx.gelu(self.fc1(self.norm2(x_BND)), approximate=False))


class VideoMAE(nnx.Module):
    """The encoder."""

    def __init__(self, cfg: VideoMaeConfig, *, rngs: nnx.Rngs) -> None:
        box = (cfg.tubelet, cfg.patch, cfg.patch)
        self.patches = nnx.Conv(3, cfg.width, box, box, padding="VALID", rngs=rngs)
        self.blocks = nnx.List([VideoMAEBlock(cfg, rngs=rngs) for _ in range(cfg.layers)])
        self.norm_out = _norm(cfg.width, cfg.epsilon_out, rngs)
        self.pooled = cfg.pooled

    def __call__(self, x_BFHWC: jax.Array) -> jax.Array:
        """Features (B, D) of normalised clips of the model's frames and size."""
        boxes = self.patches(x_BFHWC)
        x_BND = boxes.reshape(len(boxes), -1, boxes.shape[-1])
        x_BND = x_BND + jnp.asarray(sinusoid_table(*x_BND.shape[1:]))[None]
        for block in self.blocks:
            x_BND = block(x_BND)
        features_BD: jax.Array = self.norm_out(x_BND.mean(1)) if self.pooled else self.norm_out(x_BND).mean(1)
        return features_BD
