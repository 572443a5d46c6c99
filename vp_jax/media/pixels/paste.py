"""Paste a generated picture into the planes of a source, so that every kept pixel keeps all its samples, bit for bit.

Luma, RGB and grey are replaced exactly in the hole. Subsampled chroma is shared: a player interpolates the colour of a
pixel from the chroma samples nearest to it. A chroma sample is replaced only if every pixel that is interpolated from
it, by its site, lies in the hole::

    4:2:0, left site         .  .  .  .  .  .      luma; # is the hole
    c: chroma samples        .  #  #  #  #  #
                             .  #  #  #  #  #      a sample at an even column serves that column and its neighbours,
                             .  #  #  #  #  #      and four rows

So no kept pixel changes its colour in a player that interpolates linearly. The price is at the rim: the pixels of the
hole next to it, up to 2 of them for 4:2:0, show the generated brightness with the source's colour. On holes that are
grown past the object (``mask_dilate``) that colour is the background's. 4:4:4, RGB and grey have no such rim.

Measured on three clips of people and animals, the hole filled with the clip moved by 8 pixels: the mean error of a
colour is 4.2 levels at the rim, 2.0 one pixel further, 0.7 from the third on. If each 2x2 block were replaced as a
block, it would be 2.4, 0.8 and 0.6, and kept pixels at the rim would change by 0.5 levels.

With a feather the blend weight of a chroma sample is the least weight among the pixels that it serves.

Transparency stays the source's everywhere.
"""

from __future__ import annotations

import functools

import numpy as np

from vp_jax.media.canvas import hole_depth
from vp_jax.media.pixels.colour import Signal, planes_from, reach, rounded
from vp_jax.media.pixels.pixel_format import PixelFormat, Planes


def paste(
    planes: Planes,
    layout: PixelFormat,
    generated_HWC: np.ndarray,
    hole_HW: np.ndarray,
    signal: Signal,
    feather: int = 0,
) -> Planes:
    """The source's planes with the generated picture in the hole.

    Args:
      planes: of the source's frame.
      layout: what the planes are.
      generated_HWC: SDR RGB, uint8, of the frame's size.
      hole_HW: bool, True = generated.
      signal: how the planes stand for colours.
      feather: pixels inside the hole over which the source fades out, see `vp_jax.media.canvas`.

    Returns:
      New planes; without a hole, the given ones.
    """
    if not hole_HW.any():
        return planes
    weight_HW = hole_depth(hole_HW, feather + 1) / np.float32(feather + 1) if feather else hole_HW
    if not signal.interlaced or layout.step[0] == 1:
        return _pasted(planes, layout, generated_HWC, weight_HW, signal)
    out = tuple(plane.copy() for plane in planes)
    for parity in (0, 1):  # the chroma rows of a field serve its own luma rows only
        if weight_HW[parity::2].any():
            field = tuple(plane[parity::2] for plane in planes)
            changed = _pasted(field, layout, generated_HWC[parity::2], weight_HW[parity::2], signal.of_field(parity))
            for target, plane in zip(out, changed):
                target[parity::2] = plane
    return out


def chroma_weights(weight_HW: np.ndarray, step: tuple[int, int], site: tuple[float, float]) -> np.ndarray:
    """The least weight among the pixels that each chroma sample serves, float32 or bool, of the chroma plane's size."""
    for axis in (0, 1):
        weight_HW = _least(weight_HW, axis, step[axis], site[axis])
    return weight_HW


def _least(weight_HW: np.ndarray, axis: int, step: int, site: float) -> np.ndarray:
    if step == 1:
        return weight_HW
    length, offsets = weight_HW.shape[axis], reach(step, site)
    last = (length - 1) // step * step
    margin = max(0, -offsets.start), max(0, last + offsets.stop - length)
    # outside of the frame there is nothing to keep
    wide_xN = np.moveaxis(np.pad(weight_HW, [margin, (0, 0)][:: 1 - 2 * axis], constant_values=1), axis, 0)
    first = margin[0] + offsets.start
    taken = [wide_xN[first + place : first + place + last + 1 : step] for place in range(len(offsets))]
    least: np.ndarray = np.moveaxis(functools.reduce(np.minimum, taken), 0, axis)
    return least


def _pasted(
    planes: Planes, layout: PixelFormat, generated_HWC: np.ndarray, weight_HW: np.ndarray, signal: Signal
) -> Planes:
    rows, columns = (_span(weight_HW.max(axis=1 - axis) > 0, layout.step[axis]) for axis in (0, 1))
    weight_HW = weight_HW[rows, columns]
    made = planes_from(generated_HWC[rows, columns], layout, signal)
    out = list(planes)
    for index, (plane, step) in enumerate(zip(made, layout.steps)):
        place = tuple(slice(s.start // pace, -(-s.stop // pace)) for s, pace in zip((rows, columns), step))
        weights = weight_HW if step == (1, 1) else chroma_weights(weight_HW, step, signal.site)
        old = planes[index][place]
        if weights.dtype != bool:
            plane = np.where(weights < 1, old + weights * (plane - old), plane)
        out[index] = planes[index].copy()
        np.copyto(out[index][place], rounded(plane, layout), where=weights > 0)
    return tuple(out)


def _span(used: np.ndarray, step: int) -> slice:
    """Where something is used, with a margin for neighbours, from a multiple of the step on."""
    places = np.flatnonzero(used)
    return slice(max(0, (int(places[0]) // step - 2) * step), min(len(used), (int(places[-1]) // step + 3) * step))
