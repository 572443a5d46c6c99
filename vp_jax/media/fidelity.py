"""How the written pixels outside of the hole differ from the source's: measured on the finished file.

The file is decoded again together with the source, frame by frame. Where both have the same planes, the samples that
kept pixels are made of are compared (see `vp_jax.media.pixels.paste`); a folder of PNG with the source's planes as
RGB. Where a format was changed, both are shown as SDR RGB and compared there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.native_writer import Pasting, as_png
from vp_jax.media.pixels.paste import chroma_weights
from vp_jax.media.pixels.pixel_format import Planes
from vp_jax.media.planes import NativeFrame, native_frames
from vp_jax.media.source import SourceVideo, read_source
from vp_jax.media.video import video_pictures
from vp_jax.reading import show


class Fidelity(NamedTuple):
    """Differences outside of the hole, in levels of 8 bits.

    Attributes:
      frames: that were compared.
      largest: difference of a sample.
      psnr: in dB of all samples; infinite where nothing differs, or nothing is outside.
      kind: " as ..." in which form they were compared, "" for the source's own samples.
    """

    frames: int
    largest: float
    psnr: float
    kind: str = ""

    @property
    def line(self) -> str:
        """For people."""
        seen = f"over {self.frames} frames of the written file"
        if not self.largest:
            return f"outside of the hole unchanged{self.kind}, {seen}"
        return (
            f"outside of the hole {self.psnr:.1f} dB from the source{self.kind}, largest difference {self.largest:.3g} "
            f"of 255, {seen}"
        )

    @property
    def record(self) -> dict[str, object]:
        """As JSON values; ``psnr`` is None where nothing differs."""
        psnr = round(self.psnr, 2) if math.isfinite(self.psnr) else None
        return {"frames": self.frames, "largest": round(self.largest, 3), "psnr": psnr, "kind": self.kind}


class _Away(NamedTuple):
    """Kept samples of a frame: how many, their largest difference and the sum of its squares, in levels of 8 bits."""

    samples: int
    largest: float
    squares: float


def outside(path: Path, pasting: Pasting) -> Fidelity:
    """Compare a written result with its source.

    Raises:
      UserError: one of them cannot be read, or the result has other frames.
    """
    written, source = read_source(path), pasting.source
    if written.images:
        kind, differences = f" as {written.layout}", _of_images(written, pasting)
    elif written.layout == source.layout:
        kind, differences = "", _of_planes(written, pasting)
    else:
        kind, differences = " as 8-bit RGB", _of_pictures(path, pasting)
    frames, count, squares, largest = 0, 0, 0.0, 0.0
    for frame in differences:
        frames, count = frames + 1, count + frame.samples
        squares, largest = squares + frame.squares, max(largest, frame.largest)
    if frames != len(pasting.numbers):
        raise UserError(f"{show(path)}: has {frames} frames when it is read again, expected {len(pasting.numbers)}")
    psnr = 10 * math.log10(255**2 * count / squares) if squares else math.inf
    return Fidelity(frames, largest, psnr, kind)


def _of_planes(written: SourceVideo, pasting: Pasting) -> Iterator[_Away]:
    assert written.layout is not None
    before, after = pasting.frames(), native_frames(written, range(len(pasting.numbers)))
    unit = 2.0 ** (written.layout.depth - 8)
    for index, (old, new) in enumerate(zip(before, after)):
        kept = _kept(pasting, index, old)
        yield _away(old.planes, new.planes, kept, unit)


def _of_images(written: SourceVideo, pasting: Pasting) -> Iterator[_Away]:
    """A folder of PNG holds the source's planes, converted to RGB where they are Y'CbCr."""
    before, after = pasting.frames(), native_frames(written, range(len(pasting.numbers)))
    for index, (old, new) in enumerate(zip(before, after)):
        planes, kept_HW = as_png(old, pasting.target).planes, ~pasting.hole(index)
        kept = [kept_HW] * (len(planes) - new.layout.alpha) + [np.ones_like(kept_HW)] * new.layout.alpha
        yield _away(planes, new.planes, kept, 2.0 ** (new.layout.depth - 8))


def _away(old: Planes, new: Planes, kept: list[np.ndarray], unit: float) -> _Away:
    """Differences of the kept samples, in multiples of ``unit``."""
    count, largest, squares = 0, 0.0, 0.0
    for before, after, mask in zip(old, new, kept):
        given = np.ascontiguousarray(after), np.ascontiguousarray(before)
        kept_HW = np.ascontiguousarray(mask).view(np.uint8)
        count += cv2.countNonZero(kept_HW)
        largest = max(largest, cv2.norm(*given, cv2.NORM_INF, kept_HW) / unit)
        squares += cv2.norm(*given, cv2.NORM_L2SQR, kept_HW) / unit**2
    return _Away(count, largest, squares)


def _kept(pasting: Pasting, index: int, frame: NativeFrame) -> list[np.ndarray]:
    """Which samples of each plane are the source's; transparency is everywhere."""
    hole_HW, signal = pasting.hole(index), pasting.target.signal
    out = []
    for number, step in enumerate(frame.layout.steps):
        if frame.layout.alpha and number == len(frame.layout.steps) - 1:
            out.append(np.ones(hole_HW.shape, bool))
        elif signal.interlaced and step[0] > 1:
            both = np.zeros(frame.planes[number].shape, bool)
            for parity in (0, 1):
                both[parity::2] = ~chroma_weights(hole_HW[parity::2], step, signal.of_field(parity).site)
            out.append(both)
        else:
            out.append(~chroma_weights(hole_HW, step, signal.site))
    return out


def _of_pictures(path: Path, pasting: Pasting) -> Iterator[_Away]:
    before = video_pictures(pasting.source.path, frozenset(pasting.numbers))
    after = video_pictures(path)
    for index, ((_, _, old), (_, _, new)) in enumerate(zip(before, after)):
        kept_HW = ~pasting.hole(index)
        old_HWC, new_HWC = old.over_black(), new.over_black()
        if pasting.border is not None:
            old_HWC = pasting.border.frames(old_HWC[None])[0]
        old_CHW, new_CHW = (np.moveaxis(picture, -1, 0) for picture in (old_HWC, new_HWC))
        yield _away(tuple(old_CHW), tuple(new_CHW), [kept_HW] * 3, 1.0)
