"""A VAE of two widths, its programs compiled once for all tests, and arrays for it."""

import functools
from typing import Any

import jax
import numpy as np
from flax import nnx

from vp_jax import trees
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import vae

TINY = VAEConfig(
    channels=(4, 8),
    layers_per_block=1,
    groups=2,
    latent_channels=4,
    temporal_stride=2,
    sample_height=24,
    sample_width=40,
)


def uniform(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@functools.partial(jax.jit, static_argnums=0, static_argnames=("tiling", "slicing"))
def encode(graphdef: nnx.GraphDef, params: trees.Tree, video: Any, **options: bool) -> vae.Posterior:
    return nnx.merge(graphdef, params).encode(video, **options)


@functools.partial(jax.jit, static_argnums=0, static_argnames=("tiling", "slicing"))
def decode(graphdef: nnx.GraphDef, params: trees.Tree, latents: Any, **options: bool) -> jax.Array:
    return nnx.merge(graphdef, params).decode(latents, **options)


@functools.partial(jax.jit, static_argnums=0)
def encode_chunk(graphdef: nnx.GraphDef, params: trees.Tree, *chunk: Any) -> Any:
    return nnx.merge(graphdef, params).encode_chunk(*chunk)


@functools.partial(jax.jit, static_argnums=0)
def decode_chunk(graphdef: nnx.GraphDef, params: trees.Tree, *chunk: Any) -> Any:
    return nnx.merge(graphdef, params).decode_chunk(*chunk)
