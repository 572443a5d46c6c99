"""CogVideoX causal 3-D VAE (arXiv 2408.06072 section 2.1): clips to latents and back, in chunks of frames.

A clip is encoded 8 pixel frames and decoded 2 latent frames at a time; the FIRST chunk takes the remainder (17 frames:
9 + 8; 13 latents: 3 + 2 + 2 + 2 + 2 + 2). Norm statistics are those of one chunk, so the size of the chunks is part of
the function. The first chunk is traced separately; the others share one `lax.scan`, whose carry is the cache of the
convolutions, so the program does not grow with the clip.
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
from vp_jax.models.vae.blocks import BlockDecoder, BlockEncoder
from vp_jax.models.vae.coder import Decoder, Encoder
from vp_jax.models.vae.convs import Cache

ENCODE_CHUNK = 8
"""Pixel frames of a chunk after the first."""

DECODE_CHUNK = 2
"""Latent frames of a chunk after the first."""

LOGVAR_RANGE = (-30.0, 20.0)
"""Limits of the log-variance."""

ChunkStep = Callable[[jax.Array, Cache | None], tuple[jax.Array, Cache]]
"""``(frames of a chunk, cache of the last one) -> (result, cache)``."""


class Posterior(NamedTuple):
    """Gaussian of the unscaled latents, float32."""

    mean_BThwC: jax.Array
    std_BThwC: jax.Array

    def sample(self, noise_BThwC: jax.Array) -> jax.Array:
        """``mean + std * noise`` for standard normal noise."""
        return self.mean_BThwC + self.std_BThwC * noise_BThwC


def scale(cfg: VAEConfig, z: jax.Array, *, image: bool = False) -> jax.Array:
    """Latents of the transformer from latents of the VAE.

    Args:
      cfg: description of the VAE.
      z: VAE latents, any shape.
      image: whether they are the image condition of an I2V model, which CogVideoX 1.5 divides by the factor.
    """
    return z / cfg.scaling_factor if image and cfg.invert_scale else z * cfg.scaling_factor


def unscale(cfg: VAEConfig, z: jax.Array) -> jax.Array:
    """Latents of the VAE from latents of the transformer, the inverse of `scale` for videos."""
    return z / cfg.scaling_factor


def split_first(frames: int, chunk: int) -> int:
    """Frames of the first chunk, such that a multiple of ``chunk`` is left."""
    return frames - chunk * (max(frames // chunk, 1) - 1)


def run_chunks(step: ChunkStep, x: jax.Array, chunk: int) -> jax.Array:
    """Apply ``step`` to the chunks of a clip (B, F, ...) and join the results in time."""
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
    """Apply ``function`` to one batch element after another, with the memory of a batch of 1."""
    result: jax.Array = lax.map(lambda one: function(one[None])[0], x)
    return result


def _per_channel(values: tuple[float, ...]) -> jax.Array:
    return jnp.array(values, jnp.float32)[None, None, None, None, :]


class VAE(nnx.Module):
    """The autoencoder.

    Args:
      cfg: description.
      rngs: random keys of the weights, stream ``params``.
    """

    def __init__(self, cfg: VAEConfig, *, rngs: nnx.Rngs) -> None:
        self.cfg = cfg
        blocks = cfg.design == "blocks"
        self.encoder = BlockEncoder(cfg, rngs=rngs) if blocks else Encoder(cfg, rngs=rngs)
        self.decoder = BlockDecoder(cfg, rngs=rngs) if blocks else Decoder(cfg, rngs=rngs)

    def encode(self, video_BFHWC: jax.Array, *, tiling: bool = False, slicing: bool = False) -> Posterior:
        """Posterior of a clip.

        Args:
          video_BFHWC: pixels in [-1, 1]; the VAE was trained on F = 8 k + 1 frames and on single frames.
          tiling: encode overlapping tiles and blend them, which takes less memory and changes the result (`tiling`).
          slicing: encode one batch element after another, which takes less memory.

        Returns:
          Mean and standard deviation of the unscaled latents, float32.
        """
        chex.assert_shape(video_BFHWC, (None, None, None, None, self.cfg.in_channels))
        run = functools.partial(run_chunks, self.encode_chunk, chunk=ENCODE_CHUNK)
        plan = tiles.encode_plan(self.cfg, *video_BFHWC.shape[2:4]) if tiling else None
        moments = self._apply(run, video_BFHWC, plan, slicing)
        mean, logvar = jnp.split(moments.astype(jnp.float32), 2, axis=-1)
        std = jnp.exp(0.5 * jnp.clip(logvar, *LOGVAR_RANGE))
        if self.cfg.latent_mean:
            mean = mean - _per_channel(self.cfg.latent_mean)
        if self.cfg.latent_std:
            mean, std = (x / _per_channel(self.cfg.latent_std) for x in (mean, std))
        return Posterior(mean, std)

    def decode(self, latents_BThwC: jax.Array, *, tiling: bool = False, slicing: bool = False) -> jax.Array:
        """Pixels of unscaled latents.

        Args:
          latents_BThwC: odd T gives 4 (T - 1) + 1 frames, even T gives 4 T.
          tiling: see `encode`.
          slicing: see `encode`.

        Returns:
          Pixels BFHWC around [-1, 1], not clamped, float32.
        """
        chex.assert_shape(latents_BThwC, (None, None, None, None, self.cfg.latent_channels))
        run = functools.partial(run_chunks, self.decode_chunk, chunk=DECODE_CHUNK)
        plan = tiles.decode_plan(self.cfg, *latents_BThwC.shape[2:4]) if tiling else None
        return self._apply(run, latents_BThwC, plan, slicing).astype(jnp.float32)

    def decode_clip(self, latents_BThwC: jax.Array, *, slicing: bool = False) -> jax.Array:
        """Pixels BFHWC of a clip of F = stride (T - 1) + 1 frames, for odd and even T; otherwise as `decode`.

        Of an even T, `decode` makes as many frames of the first latent, which stands for one, as of the others. Here
        the last latent is repeated, which makes T odd, and the frames of the repetition are cut off.
        """
        frames = self.cfg.temporal_stride * (latents_BThwC.shape[1] - 1) + 1
        if latents_BThwC.shape[1] % 2 == 0:
            latents_BThwC = jnp.concatenate([latents_BThwC, latents_BThwC[:, -1:]], axis=1)
        return self.decode(latents_BThwC, slicing=slicing)[:, :frames]

    def encode_chunk(self, video_BFHWC: jax.Array, cache: Cache | None = None) -> tuple[jax.Array, Cache]:
        """Encode the next chunk of a clip: ``(mean and log-variance with 2 C channels, cache)``.

        The first chunk has ``cache=None`` and `split_first` frames, the others `ENCODE_CHUNK`.
        """
        return self.encoder(video_BFHWC, cache)

    def decode_chunk(self, latents_BThwC: jax.Array, cache: Cache | None = None) -> tuple[jax.Array, Cache]:
        """Decode the next chunk of unscaled latents, `DECODE_CHUNK` frames after the first: ``(pixels, cache)``."""
        if self.cfg.latent_std:
            latents_BThwC = latents_BThwC * _per_channel(self.cfg.latent_std)
        if self.cfg.latent_mean:
            latents_BThwC = latents_BThwC + _per_channel(self.cfg.latent_mean)
        return self.decoder(latents_BThwC, cache)

    def _apply(
        self, run: Callable[[jax.Array], jax.Array], x: jax.Array, plan: tiles.TilePlan | None, slicing: bool
    ) -> jax.Array:
        run_clip = run if plan is None else functools.partial(tiles.run_tiles, run, plan=plan)
        return run_slices(run_clip, x) if slicing and x.shape[0] > 1 else run_clip(x)
