"""CLIP: one space for pictures and texts (Radford et al. 2021, arXiv 2103.00020).

Both towers are pre-norm transformers, ``x + attention(norm(x))``, then ``x + mlp(norm(x))``, with GELU approximated by
``x sigmoid(1.702 x)``. The picture's embedding is that of a class token before its patches; the text's that of its end
token, under causal attention. Both are projected to E values without bias.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Mean and deviation of the pixels that CLIP was trained on, values in [0, 1]."""

CLIP_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """A CLIP model; the defaults are ViT-B/32.

    Attributes:
      image, patch: side of pictures and patches in pixels.
      width, layers, heads: of the tower of pictures.
      text_width, text_layers, text_heads: of the tower of texts.
      vocabulary, context: number of tokens, and length of a text with its two special tokens.
      embedding: E.
      activation: ``quick_gelu``, or ``gelu``.
    """

    kind: ClassVar[str] = "clip"
    image: int = 224
    patch: int = 32
    width: int = 768
    layers: int = 12
    heads: int = 12
    text_width: int = 512
    text_layers: int = 12
    text_heads: int = 8
    vocabulary: int = 49408
    context: int = 77
    embedding: int = 512
    activation: str = "quick_gelu"


def _norm(width: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    return nnx.LayerNorm(width, epsilon=CLIP_EPSILON, use_fast_variance=False, rngs=rngs)


class ClipBlock(nnx.Module):
    """One layer of a tower."""

    def __init__(self, width: int, heads: int, activation: str, *, rngs: nnx.Rngs) -> None:
        self.norm1, self.norm2 = _norm(width, rngs), _norm(width, rngs)
        self.to_q, self.to_k, self.to_v, self.to_out = (nnx.Linear(width, width, rngs=rngs) for _ in range(4))
        self.up, self.down = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)
        self.heads, self.activation = heads, activation

    def __call__(self, x_BSD: jax.Array, mask_SS: jax.Array | None) -> jax.Array:
        """Tokens (B, S, D); ``mask_SS`` is True where a token may look."""
        y_BSD = self.norm1(x_BSD)
        q, k, v = (to(y_BSD).reshape(*y_BSD.shape[:2], self.heads, -1) for to in (self.to_q, self.to_k, self.to_v))
        attended = jax.nn.dot_product_attention(q, k, v, mask=None if mask_SS is None else mask_SS[None, None])
        x_BSD = x_BSD + self.to_out(attended.reshape(y_BSD.shape))
        hidden = self.up(self.norm2(x_BSD))
        if self.activation == "quick_gelu":
            hidden = hidden * jax.nn.sigmoid(1.702 * hidden)
        else:
            hidden = nnx.gelu(hidden, approximate=False)
        return x_BSD + self.down(hidden)


class ClipModel(nnx.Module):
    """Both towers."""

    def __init__(self, cfg: ClipConfig, *, rngs: nnx.Rngs) -> None:
        side = (cfg.patch, cfg.patch)
        self.patches = nnx.Conv(3, cfg.width, side, side, padding="VALID", use_bias=False, rngs=rngs)
        self.class_token = nnx.Param(jnp.zeros(cfg.width))
        self.positions = nnx.Param(jnp.zeros(((cfg.image // cfg.patch) ** 2 + 1, cfg.width)))
        self.norm_in, self.norm_out = _norm(cfg.width, rngs), _norm(cfg.width, rngs)
        self.blocks = nnx.List([ClipBlock(cfg.width, cfg.heads, cfg.activation, rngs=rngs) for _ in range(cfg.layers)])
        self.projection = nnx.Linear(cfg.width, cfg.embedding, use_bias=False, rngs=rngs)
        self.tokens = nnx.Embed(cfg.vocabulary, cfg.text_width, rngs=rngs)
        self.text_positions = nnx.Param(jnp.zeros((cfg.context, cfg.text_width)))
        self.text_norm_out = _norm(cfg.text_width, rngs)
        self.text_blocks = nnx.List(
            [ClipBlock(cfg.text_width, cfg.text_heads, cfg.activation, rngs=rngs) for _ in range(cfg.text_layers)]
        )
        self.text_projection = nnx.Linear(cfg.text_width, cfg.embedding, use_bias=False, rngs=rngs)
        self.cfg = cfg

    def picture(self, frames_FHWC: jax.Array) -> jax.Array:
        """Embeddings (F, E) of normalised pictures of the model's size."""
        x_FND = self.patches(frames_FHWC).reshape(len(frames_FHWC), -1, self.cfg.width)
        first = jnp.broadcast_to(self.class_token[...], (len(x_FND), 1, self.cfg.width))
        x_FSD = self.norm_in(jnp.concatenate([first, x_FND], 1) + self.positions[...][None])
        for block in self.blocks:
            x_FSD = block(x_FSD, None)
        return self.projection(self.norm_out(x_FSD[:, 0]))

    def text(self, ids_BM: jax.Array, ends_B: jax.Array) -> jax.Array:
        """Embeddings (B, E) of texts, read at the place ``ends_B`` of their end tokens."""
        length = ids_BM.shape[1]
        x_BSD = self.tokens(ids_BM) + self.text_positions[...][None, :length]
        causal_MM = jnp.tril(jnp.ones((length, length), bool))
        for block in self.text_blocks:
            x_BSD = block(x_BSD, causal_MM)
        x_BSD = self.text_norm_out(x_BSD)
        return self.text_projection(x_BSD[jnp.arange(len(ids_BM)), ends_B])
