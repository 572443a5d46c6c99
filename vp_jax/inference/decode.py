"""Latents of windows to frames, while later windows are still being sampled.

    window's latents --Stitcher--> latents that no later window changes --StreamDecoder--> frames

Frames come out as they would from the complete latents, bit for bit: the VAE works through a video in chunks whose
boundaries depend on its length alone (`vp_jax.models.vae.vae`).
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.inference.compiled import on_mesh, placement
from vp_jax.inference.models import Models, Params
from vp_jax.inference.plan import Shot, WindowPlan
from vp_jax.inference.settings import Settings
from vp_jax.inference.stream import Event, WindowDone
from vp_jax.media.canvas import to_uint8
from vp_jax.models.vae import vae as vae_module
from vp_jax.models.vae.convs import Cache
from vp_jax.shapes import SPATIAL_STRIDE


class Decoded(NamedTuple):
    """Finished frames.

    Attributes:
      window: whose latents completed them.
      start: number of the first.
      frames_FHWC: uint8, at the model's size.
    """

    window: int
    start: int
    frames_FHWC: np.ndarray


class Stitcher:
    """Joins the latents of windows, each (B, T, h, w, C), as they come.

    Window k starts at latent ``k (T - overlap - 1)``. In reference mode overlapping latents are averaged with equal
    weight. Otherwise their weights pass in equal steps from one window to the next, and a later window's first latent,
    which stands for one frame where its neighbours stand for four, yields to the previous window's.

    Args:
      windows: how many will come.
      overlap: `Settings.overlap_latents`.
      reference: average every latent.
    """

    def __init__(self, windows: int, overlap: int, *, reference: bool) -> None:
        self._left, self._overlap, self._skip = windows, overlap, 0 if reference else 1
        self._first, self._ramp = True, not reference
        # sums of latents and weights so far, from the first latent that may still change; the next window begins there
        self._sum_BThwC: np.ndarray | None = None
        self._weight_T = np.zeros(0, np.float32)

    def add(self, latents_BThwC: np.ndarray) -> np.ndarray:
        """Take the next window; returns the latents that no later window changes, float32 (B, T, h, w, C)."""
        advance = latents_BThwC.shape[1] - self._overlap - 1
        skip = 0 if self._first else self._skip
        part, weight_T = latents_BThwC[:, skip:], self._weights(latents_BThwC.shape[1])[skip:]
        extra = part.shape[1] - len(self._weight_T)
        tail = np.zeros((part.shape[0], extra, *part.shape[2:]), np.float32)
        total = tail if self._sum_BThwC is None else np.concatenate([self._sum_BThwC, tail], axis=1)
        total += part * weight_T[:, None, None, None]
        weights_T = np.concatenate([self._weight_T, np.zeros(extra, np.float32)]) + weight_T
        self._left, self._first = self._left - 1, False
        final = advance + self._skip - skip if self._left else len(weights_T)
        self._sum_BThwC, self._weight_T = total[:, final:], weights_T[final:]
        finished: np.ndarray = total[:, :final] / weights_T[None, :final, None, None, None]
        return finished

    def _weights(self, latents: int) -> np.ndarray:
        """Weights of a window's latents: 1, or rising in its first overlap and falling in its last."""
        weight_T = np.ones(latents, np.float32)
        if self._ramp and self._overlap:
            rising = np.arange(1, self._overlap + 1, dtype=np.float32) / (self._overlap + 1)
            if not self._first:
                weight_T[1 : 1 + self._overlap] = rising
            if self._left > 1:
                weight_T[-self._overlap :] *= rising[::-1]
        return weight_T


def stitch(windows: Sequence[np.ndarray], overlap: int, *, reference: bool) -> np.ndarray:
    """Latents of the complete video from those of all its windows; see `Stitcher`."""
    stitcher = Stitcher(len(windows), overlap, reference=reference)
    return np.concatenate([stitcher.add(latents) for latents in windows], axis=1)


class StreamDecoder:
    """Decodes scaled latents that arrive in pieces of any length; the device holds one chunk at a time.

    Args:
      latents: latent frames that will arrive; where chunks begin depends on it.
    """

    def __init__(self, models: Models, params: Params, latents: int) -> None:
        self._models, self._params = models, params
        self._next, self._left = vae_module.split_first(latents, vae_module.DECODE_CHUNK), latents
        self._waiting_BThwC: np.ndarray | None = None
        self._cache: Cache | None = None

    def add(self, latents_BThwC: np.ndarray) -> Iterator[np.ndarray]:
        """Yield pixels (B, F, H, W, 3), float32 and not clamped, of every chunk that these latents complete."""
        parts = [latents_BThwC] if self._waiting_BThwC is None else [self._waiting_BThwC, latents_BThwC]
        waiting = np.concatenate(parts, axis=1)
        where = placement(self._params)
        while self._left and waiting.shape[1] >= self._next:
            chunk, cache = jax.device_put((waiting[:, : self._next], self._cache), where)
            with on_mesh(where):
                pixels, self._cache = decode_pixels(self._models, self._params, chunk, cache)
            waiting, self._left = waiting[:, self._next :], self._left - self._next
            self._next = vae_module.DECODE_CHUNK
            yield np.asarray(pixels)
        self._waiting_BThwC = waiting
        if self._left and len(where.device_set) == 1:  # gigabytes that the denoising of the next window may need
            self._cache = jax.device_get(self._cache)


def decoded(
    events: Iterable[Event],
    models: Models,
    params: Params,
    plan: WindowPlan,
    settings: Settings,
    size: tuple[int, int] | None = None,
) -> Iterator[Event | Decoded]:
    """Pass on the events of `vp_jax.inference.stream.windows`, each `WindowDone` after the frames that it completes.

    With the ``size`` of the frames, the decoder is compiled in a thread while the encoder is compiled by ``events``.
    """
    if size is not None and plan.shots:
        threading.Thread(target=compile_ahead, args=(models, params, plan.shots[0], settings, size)).start()
    makers = {shot.window: shot for shot in plan.shots}
    making: _ShotDecoder | None = None
    for event in events:
        if isinstance(event, WindowDone):
            if event.window in makers:
                making = _ShotDecoder(models, params, makers[event.window], settings)
            assert making is not None
            for start, frames_FHWC in making.add(event.window, np.asarray(event.carry.latents_BThwC)):
                yield Decoded(event.window, start, frames_FHWC)
        yield event


class _ShotDecoder:
    """Decodes the windows of a shot, which the VAE takes for a video of its own."""

    def __init__(self, models: Models, params: Params, shot: Shot, settings: Settings) -> None:
        reference = settings.mode == "reference"
        # of an even number the VAE would make 4 frames of the first latent: one more at the end, cut off below
        self._extra = int(not reference and shot.latents % 2 == 0)
        self._stitcher = Stitcher(shot.windows, settings.overlap_latents, reference=reference)
        self.latents = shot.latents + self._extra
        self._decoder = StreamDecoder(models, params, self.latents)
        self._shot, self._made = shot, 0

    def add(self, window: int, latents_BThwC: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of the first of some finished frames, and the frames, uint8."""
        latents_BThwC = self._stitcher.add(latents_BThwC)
        if self._extra and window + 1 == self._shot.window + self._shot.windows:
            latents_BThwC = np.concatenate([latents_BThwC, latents_BThwC[:, -1:]], axis=1)
        for pixels_BFHWC in self._decoder.add(latents_BThwC):
            frames_FHWC = to_uint8(pixels_BFHWC[0, : self._shot.frames - self._made])
            if len(frames_FHWC):
                yield self._shot.start + self._made, frames_FHWC
            self._made += len(frames_FHWC)


def compile_ahead(models: Models, params: Params, shot: Shot, settings: Settings, size: tuple[int, int]) -> None:
    """Compile the decoder for the first chunks of a shot of frames (height, width); nothing is run."""
    latents = _ShotDecoder(models, params, shot, settings).latents
    h, w = (side // SPATIAL_STRIDE for side in size)
    where, cache = placement(params), None
    first = vae_module.split_first(latents, vae_module.DECODE_CHUNK)
    with contextlib.suppress(Exception), on_mesh(where):  # what is wrong is raised where the decoder is called
        for count in dict.fromkeys((first, vae_module.DECODE_CHUNK) if latents > first else (first,)):
            chunk = jax.ShapeDtypeStruct((1, count, h, w, models.vae_cfg.latent_channels), jnp.float32, sharding=where)
            lowered = decode_pixels.lower(models, params, chunk, cache)
            lowered.compile()
            _, cache = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), lowered.out_info)


@functools.partial(jax.jit, static_argnums=0, donate_argnames="cache")
def decode_pixels(
    models: Models, params: Params, latents_BThwC: jax.Array, cache: Cache | None
) -> tuple[jax.Array, Cache]:
    """Pixels (B, F, H, W, 3) of the next chunk of scaled latents, float32 and not clamped, and the VAE's caches.

    The new caches take the place of the given ones, 2.8 GB of the released model, which are gone after the call.
    """
    pixels, cache = models.vae(params).decode_chunk(vae_module.unscale(models.vae_cfg, latents_BThwC), cache)
    return pixels.astype(jnp.float32), cache
