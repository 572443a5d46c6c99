"""CogVideoX causal 3-D VAE (arXiv 2408.06072 section 2.1): clips to latents and back, in chunks of frames.

A clip is encoded 8 pixel frames and decoded 2 latent frames at a time, the FIRST chunk taking the remainder
(17 frames: 9 + 8; 13 latents: 3 + 2 + 2 + 2 + 2 + 2). Norm statistics are those of one chunk, so the chunking is
part of the function, not a tuning choice. The first chunk is traced by itself, the equal ones share one `lax.scan`
whose carry is the cache of the convolutions: programs do not grow with the clip.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import tiling as tiles
from vp_jax.models.vae.coder import Decoder, Encoder
from vp_jax.models.vae.convs import Cache

ENCODE_CHUNK = 8
"""Pixel frames of a chunk after the first."""

DECODE_CHUNK = 2
"""Latent frames of a chunk after the first."""

LOGVAR_RANGE = (-30.0, 20.0)

Step = Callable[[jax.Array, Cache | None], tuple[jax.Array, Cache]]


class Posterior(NamedTuple):
    """Gaussian of the unscaled latents, float32."""

    mean_BThwC: jax.Array
    std_BThwC: jax.Array

    def sample(self, noise_BThwC: jax.Array) -> jax.Array:
        """``mean + std * noise`` for standard normal noise."""
        return self.mean_BThwC + self.std_BThwC * noise_BThwC


def scale(cfg: VAEConfig, z: jax.Array, *, image: bool = False) -> jax.Array:
    """VAE latents -> what the transformer sees; ``image``: the condition image of I2V, divided by CogVideoX1.5."""
    return z / cfg.scaling_factor if image and cfg.invert_scale else z * cfg.scaling_factor


def unscale(cfg: VAEConfig, z: jax.Array) -> jax.Array:
    """Transformer latents -> VAE latents. (Images are never decoded, so there is no inverted form.)"""
    return z / cfg.scaling_factor


def split_first(frames: int, chunk: int) -> int:
    """Frames of the first chunk; what is left is a multiple of ``chunk``."""
    return frames - chunk * (max(frames // chunk, 1) - 1)


def run_chunks(step: Step, x: jax.Array, chunk: int) -> jax.Array:
    """Apply ``step(frames, cache) -> (result, cache)`` to a clip B F..., joined in time."""
    first = split_first(x.shape[1], chunk)
    y, cache = step(x[:, :first], None)
    count = (x.shape[1] - first) // chunk
    if not count:
        return y

    def body(cache: Cache, frames: jax.Array) -> tuple[Cache, jax.Array]:
        y, cache = step(frames, cache)
        return cache, y

    rest = x[:, first:].reshape(x.shape[0], count, chunk, *x.shape[2:])
    _, later = lax.scan(body, cache, jnp.moveaxis(rest, 1, 0))
    later = jnp.moveaxis(later, 0, 1)
    return jnp.concatenate([y, later.reshape(y.shape[0], -1, *y.shape[2:])], axis=1)


def run_slices(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """Apply ``function`` to one batch element after another: memory of batch 1."""
    return lax.map(lambda one: function(one[None])[0], x)


class VAE(nnx.Module):
    """The autoencoder.

    Args:
      cfg: description.
      rngs: stream ``params``.
    """

    def __init__(self, cfg: VAEConfig, *, rngs: nnx.Rngs) -> None:
        self.cfg = cfg
        self.encoder = Encoder(cfg, rngs=rngs)
        self.decoder = Decoder(cfg, rngs=rngs)

    def encode(self, video_BFHWC: jax.Array, *, tiling: bool = False, slicing: bool = False) -> Posterior:
        """Posterior of a clip.

        Args:
          video_BFHWC: pixels in [-1, 1]; F = 8 k + 1 (or 1) is what the VAE was trained on.
          tiling: encode overlapping tiles and blend them: less memory, other numbers (`tiling`).
          slicing: one batch element after another: less memory, the same numbers.

        Returns:
          Mean and standard deviation BThwC, float32.
        """
        chex.assert_shape(video_BFHWC, (None, None, None, None, self.cfg.in_channels))
        run = functools.partial(run_chunks, self.encode_chunk, chunk=ENCODE_CHUNK)
        plan = tiles.encode_plan(self.cfg, *video_BFHWC.shape[2:4]) if tiling else None
        moments = self._apply(run, video_BFHWC, plan, slicing)
        mean, logvar = jnp.split(moments.astype(jnp.float32), 2, axis=-1)
        return Posterior(mean, jnp.exp(0.5 * jnp.clip(logvar, *LOGVAR_RANGE)))

    def decode(self, latents_BThwC: jax.Array, *, tiling: bool = False, slicing: bool = False) -> jax.Array:
        """Pixels of unscaled latents.

        Args:
          latents_BThwC: odd T gives 4 (T - 1) + 1 frames, even T gives 4 T.
          tiling, slicing: see `encode`.

        Returns:
          Pixels BFHWC around [-1, 1], not clamped, float32.
        """
        chex.assert_shape(latents_BThwC, (None, None, None, None, self.cfg.latent_channels))
        run = functools.partial(run_chunks, self.decode_chunk, chunk=DECODE_CHUNK)
        plan = tiles.decode_plan(self.cfg, *latents_BThwC.shape[2:4]) if tiling else None
        return self._apply(run, latents_BThwC, plan, slicing).astype(jnp.float32)

    def encode_chunk(self, video_BFHWC: jax.Array, cache: Cache | None = None) -> tuple[jax.Array, Cache]:
        """Streaming: the next chunk of a clip -> ``(mean and log-variance BThw(2C), cache)``.

        The first chunk comes with ``cache=None`` and `split_first` frames, the others have `ENCODE_CHUNK`.
        """
        return self.encoder(video_BFHWC, cache)

    def decode_chunk(self, latents_BThwC: jax.Array, cache: Cache | None = None) -> tuple[jax.Array, Cache]:
        """Streaming: the next chunk of unscaled latents -> ``(pixels BFHWC, cache)``; `DECODE_CHUNK` at a time."""
        return self.decoder(latents_BThwC, cache)

    def _apply(
        self, run: Callable[[jax.Array], jax.Array], x: jax.Array, plan: tiles.Plan | None, slicing: bool
    ) -> jax.Array:
        whole = run if plan is None else functools.partial(tiles.run_tiles, run, plan=plan)
        return run_slices(whole, x) if slicing and x.shape[0] > 1 else whole(x)
