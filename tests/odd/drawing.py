"""What odd files are drawn from, and the list of them; `tests.odd_files` reads them through both doors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from tests import clip_files

F, H, W = 8, 48, 64
CLIP = clip_files.moving(F, H, W)
HOLES = np.zeros((F, H, W), bool)
for _frame in range(F):
    HOLES[_frame, 8:24, 8 + 4 * _frame : 32 + 4 * _frame] = True
VPX = {"crf": "20", "b": "0", "auto-alt-ref": "0"}
GREY = HOLES.astype(np.uint8) * 255


@dataclass(frozen=True)
class Odd:
    """A file, how it is made, and what is right.

    Attributes:
      make: writes the file or folder at or near the given path (its suffix may be changed) and returns it.
      holes: the right holes of a mask, None for a video.
      frames: the right frames of a video, None for a mask.
      refused: pattern of the reason, for what no reader may guess.
      mean, edge: largest mean error of frames; share of pixels of a hole that a lossy codec may move.
    """

    name: str
    make: Callable[[Path], Path]
    holes: np.ndarray | None = None
    frames: np.ndarray | None = None
    refused: str = ""
    mean: float = 0.0
    edge: float = 0.0


ODD: list[Odd] = []


def mask(name: str, holes: np.ndarray = HOLES, **expected: Any) -> Callable[[Callable[[Path], Path]], None]:
    return lambda make: ODD.append(Odd(f"mask: {name}", make, holes=holes, **expected))


def film(name: str, frames: np.ndarray = CLIP, **expected: Any) -> Callable[[Callable[[Path], Path]], None]:
    return lambda make: ODD.append(Odd(f"video: {name}", make, frames=frames, **expected))


def images(path: Path, pictures: list[Image.Image], suffix: str = ".png", **options: Any) -> Path:
    path.mkdir()
    for index, picture in enumerate(pictures):
        picture.save(path / f"{index:05d}{suffix}", **options)
    return path


def grey(value: int) -> list[Image.Image]:
    return [Image.fromarray(hole.astype(np.uint8) * np.uint8(value)) for hole in HOLES]


def painted(colour: tuple[int, ...], background: tuple[int, ...]) -> list[Image.Image]:
    return [Image.fromarray(np.where(hole[..., None], np.uint8(colour), np.uint8(background))) for hole in HOLES]


def animated(path: Path, suffix: str, pictures: list[Image.Image], **options: Any) -> Path:
    pictures[0].save(path.with_suffix(suffix), save_all=True, append_images=pictures[1:], **options)
    return path.with_suffix(suffix)


def stored(
    path: Path,
    frames: np.ndarray,
    codec: str,
    pixel_format: str,
    *,
    options: dict[str, str] | None = None,
    context: dict[str, Any] | None = None,
    source: str = "rgb24",
    skip: tuple[int, ...] = (),
    container: dict[str, str] | None = None,
) -> Path:
    """A video of frames given in the pixel format ``source``; frames in ``skip`` are left out, their time is not."""
    with av.open(str(path.parent / f"x{path.suffix}"), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=8, options=options or {})
        stream.width, stream.height = (
            (frames.shape[-1], frames.shape[-2]) if source == "yuv444p" else frames.shape[2:0:-1]
        )
        stream.pix_fmt = pixel_format
        for name, value in (context or {}).items():
            setattr(stream.codec_context, name, value)
        for index, picture in enumerate(frames):
            if index not in skip:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), source)
                frame = frame.reformat(format=pixel_format) if source != pixel_format else frame
                frame.pts, frame.time_base = index, Fraction(1, 8)
                output.mux(stream.encode(frame))
        output.mux(stream.encode())
    (path.parent / f"x{path.suffix}").rename(path)
    return path
