"""What the VAE sees in the holes when it encodes the background.

The sampler puts the source's latents back outside the hole after every step. Those latents come from frames in which
the hole's content is unknown. A black hole is a strong edge: the receptive field and the group norms of the VAE carry
it into latents of kept cells. A fill made of the kept pixels does not. `python -m bench.nano.fills` measures both.

The context encoder is not concerned: it reads black holes, as in training (paper section 3.2).
"""

from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.media.pixel_box import PixelBox, box_around


def fill_holes(pixels_BFHWC: jax.Array, holes_BFHW: jax.Array, fill: str) -> jax.Array:
    """Frames whose holes hold a guess made of their kept pixels.

    Args:
      pixels_BFHWC: in [-1, 1]; what is in the holes is not read, unless ``fill`` is ``black``.
      holes_BFHW: 1 = hole.
      fill: ``smooth``: the kept pixels' colours, diffused into the hole; ``mean``: the mean colour of the frame's kept
        pixels; ``black``: the pixels as given, one encoding serves background and context encoder.

    Returns:
      Pixels of the same shape, equal to the given ones outside the holes. A frame without kept pixels becomes grey (0).
    """
    if fill == "black":
        return pixels_BFHWC
    kept = (holes_BFHW < 0.5)[..., None]
    mean = _colour(
        jnp.where(kept, pixels_BFHWC, 0).sum((2, 3), keepdims=True), kept.sum((2, 3), keepdims=True, dtype=jnp.float32)
    )
    if fill == "mean":
        return jnp.where(kept, pixels_BFHWC, mean)
    return _diffused(jnp.where(kept, pixels_BFHWC, 0), kept.astype(pixels_BFHWC.dtype), mean)


def diffusion_fill(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """`fill_holes` of uint8 frames and bool holes, ``smooth``, frame by frame: a filling without a model."""
    out_FHWC = frames_FHWC.copy()
    for out_HWC, hole_HW in zip(out_FHWC, holes_FHW):
        if hole_HW.any():
            pixels_HWC = jnp.asarray(out_HWC.astype(np.float32) / 127.5 - 1)
            filled_BFHWC = fill_holes(pixels_HWC[None, None], jnp.asarray(hole_HW, jnp.float32)[None, None], "smooth")
            out_HWC[hole_HW] = np.rint((np.asarray(filled_BFHWC)[0, 0][hole_HW] + 1) * 127.5).clip(0, 255)
    return out_FHWC


def stretched_frame(frames_FHWC: np.ndarray, holes_FHW: np.ndarray) -> np.ndarray:
    """Fill each hole by frame 0's pixels in the box of the first hole, resized to the box of this one.

    Args:
      frames_FHWC: uint8; frame 0 is known completely.
      holes_FHW: bool, none in frame 0.
    """
    out_FHWC = frames_FHWC.copy()
    box: PixelBox | None = None
    for out_HWC, hole_HW in zip(out_FHWC, holes_FHW):
        if not hole_HW.any():
            continue
        here = box_around(hole_HW, 0)
        box = box or here
        first_HWC = np.ascontiguousarray(frames_FHWC[0][box.span])
        patch_HWC = cv2.resize(first_HWC, (here.width, here.height), interpolation=cv2.INTER_LINEAR)
        out_HWC[here.span][hole_HW[here.span]] = patch_HWC[hole_HW[here.span]]
    return out_FHWC


def _diffused(sums: jax.Array, counts: jax.Array, mean: jax.Array) -> jax.Array:
    """Push-pull: each hole pixel takes the colour of the smallest block of kept pixels around it, interpolated.

    Args:
      sums: colours of kept pixels, added up in each cell; zero in holes.
      counts: how many they are.
      mean: colour where even the coarsest cell is empty.
    """
    height, width = sums.shape[2:4]
    if height % 2 or width % 2 or min(height, width) < 4:
        return jnp.where(counts > 0, _colour(sums, counts), mean)
    coarse = _diffused(_halved(sums), _halved(counts), mean)
    spread = jax.image.resize(coarse, (*coarse.shape[:2], height, width, coarse.shape[4]), "linear")
    return jnp.where(counts > 0, _colour(sums, counts), spread)


def _halved(x_BFHWC: jax.Array) -> jax.Array:
    b, f, h, w, c = x_BFHWC.shape
    return x_BFHWC.reshape(b, f, h // 2, 2, w // 2, 2, c).sum((3, 5))


def _colour(sums: jax.Array, counts: jax.Array) -> jax.Array:
    return sums / jnp.maximum(counts, 1)
