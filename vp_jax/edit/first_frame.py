"""The first frame of an edit: candidates from several sources, kept beside the result, one of them chosen by number.

===================== ================================================================================================
``image.png``         that picture
``original``          frame 0 stays as it is: for edits that begin later
``fill``              OpenCV's two inpainting methods at several radii: for removals before plain backgrounds
``lama``              LaMa, where the package ``simple-lama-inpainting`` is installed
``t2v``               the model of the job itself on one frame
``drawn``             of the packaged clip: the edited scene, drawn; its default
``none``              frame 0 is generated with the others; the default of everything else
``diffusers:PLACE``   a folder or hub id of diffusers: FLUX.1-Fill, SDXL and Stable Diffusion inpainting
===================== ================================================================================================

The paper starts every edit from such a frame. Without one, the job generates frame 0 with the others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from vp_jax.digests import of_json
from vp_jax.edit.wanted import Painter, Wanted
from vp_jax.errors import UserError
from vp_jax.files import beside, replacing, write_text
from vp_jax.media.images import read_image
from vp_jax.media.pictures import PictureRow, fitted, grid
from vp_jax.reading import read_json, show

ORIGINAL_FRAME, FILLED, LAMA, SAMPLED, DIFFUSERS = "original", "fill", "lama", "t2v", "diffusers:"
DRAWN, NO_FRAME = "drawn", "none"
MOST_CANDIDATES = 16
_METHODS = (cv2.INPAINT_TELEA, cv2.INPAINT_NS)
_RADII = (3, 6, 12, 24)
_NO_LAMA = "first_frame lama: pip install simple-lama-inpainting brings it, or take fill"
RECORD = "candidates.json"
"""What says of a folder of first frames how they were made."""
_COLUMNS, _CELL = 4, 320
"""Candidates in a row of the sheet, and the longer side of each in pixels."""


class Candidates(NamedTuple):
    """Painted first frames.

    Attributes:
      files: one picture each.
      seeds: of each.
      sheet: all of them in one picture, numbered from 1.
    """

    files: tuple[Path, ...]
    seeds: tuple[int, ...]
    sheet: Path

    def chosen(self, number: int) -> Path:
        """The candidate of a number from 1.

        Raises:
          UserError: there is none of this number.
        """
        if not 1 <= number <= len(self.files):
            raise UserError(f"choose {number}: expected 1 to {len(self.files)}, see {show(self.sheet)}")
        return self.files[number - 1]


def is_painted(kind: str | None) -> bool:
    """Whether a first frame has to be painted: it is neither a file nor the original, and not generated later."""
    return kind in (FILLED, LAMA, SAMPLED, DRAWN) or (kind or "").startswith(DIFFUSERS)


def painter_of(kind: str, sampled: Painter, drawn_HWC: np.ndarray | None = None) -> Painter:
    """What paints the first frames of a kind.

    Args:
      kind: see the module.
      sampled: the job's own model, for ``t2v``.
      drawn_HWC: the edited scene, for ``drawn``.

    Raises:
      UserError: no such kind.
    """
    if kind.startswith(DIFFUSERS):
        from vp_jax.edit.diffused import painter

        return painter(kind.removeprefix(DIFFUSERS))
    painters: dict[str, Painter] = {FILLED: filled, LAMA: by_lama, SAMPLED: sampled}
    if kind == DRAWN:
        if drawn_HWC is None:
            raise UserError("first_frame drawn: only the packaged clip is drawn, leave `video` off")
        return lambda wanted, seeds: (drawn_HWC for _ in seeds)
    if kind not in painters:
        raise UserError(
            f"first_frame {show(kind)}: no such file; expected a picture, original, fill, lama, t2v, "
            "diffusers:FOLDER_OR_ID or none"
        )
    return painters[kind]


def check_kind(kind: str, drawn: bool) -> None:
    """Check a source of first frames before anything expensive is done.

    Args:
      kind: see the module.
      drawn: the video is the packaged clip.

    Raises:
      UserError: no such file or source, or one that is not installed.
    """
    if kind in (NO_FRAME, ORIGINAL_FRAME) or (not is_painted(kind) and Path(kind).exists()):
        return
    if kind == LAMA and "simple_lama_inpainting" not in sys.modules and not find_spec("simple_lama_inpainting"):
        raise UserError(_NO_LAMA)
    painter_of(kind, lambda wanted, seeds: iter(()), np.zeros((1, 1, 3), np.uint8) if drawn else None)


def kept_count(out: Path) -> int:
    """How many candidates were painted for a job before, at least 1."""
    record = beside(out, "_first") / RECORD
    if not record.is_file():
        return 1
    seeds = read_json(record).get("seeds")
    return min(max(1, len(seeds)), MOST_CANDIDATES) if isinstance(seeds, list) else 1


def paint(
    kind: str, wanted: Wanted, seeds: Sequence[int], out: Path, paint_all: Painter, model: object = ""
) -> Candidates:
    """Paint candidates and keep them in ``OUT_first/``, with a sheet ``OUT_first.png``; what lies there is used again.

    Args:
      kind: of the painter, for the record.
      wanted: what they have to be.
      seeds: one candidate each.
      out: of the job.
      paint_all: see `painter_of`.
      model: JSON values of what else the pictures depend on: the job's own model and its settings, for ``t2v``.

    Raises:
      UserError: too many candidates, a folder of that name which no edit made, or what the painter says.
    """
    if not 1 <= len(seeds) <= MOST_CANDIDATES:
        raise UserError(f"candidates {len(seeds)}: expected 1 to {MOST_CANDIDATES}")
    folder, sheet = beside(out, "_first"), beside(out, "_first.png")
    found = Candidates(tuple(folder / f"{n}.png" for n in range(1, len(seeds) + 1)), tuple(seeds), sheet)
    key = of_json([_key(kind, wanted, seeds), model])
    if folder.exists() and not (folder / RECORD).is_file():
        raise UserError(f"{show(folder)} stands where first frames are kept, and no edit made it: move it")
    if not _kept(folder, found, key):
        frames = [pasted(frame_HWC, wanted) for frame_HWC in paint_all(wanted, seeds)]
        folder.mkdir(parents=True, exist_ok=True)
        for file, frame_HWC in zip(found.files, frames, strict=True):
            _write_picture(Image.fromarray(frame_HWC), file)
        write_text(folder / RECORD, json.dumps({"kind": kind, "key": key, "seeds": list(seeds)}) + "\n")
        _write_picture(_sheet(wanted, frames, seeds), sheet)
    return found


def pasted(frame_HWC: np.ndarray, wanted: Wanted) -> np.ndarray:
    """A painted frame within the hole, the source's own pixels around it."""
    if frame_HWC.shape != wanted.frame_HWC.shape:
        frame_HWC = fitted(frame_HWC, wanted.frame_HWC.shape[1::-1])
    return np.where(wanted.hole_HW[..., None], frame_HWC, wanted.frame_HWC)


def filled(wanted: Wanted, seeds: Sequence[int]) -> Iterator[np.ndarray]:
    """OpenCV's inpainting; a seed chooses method and radius."""
    hole_HW = wanted.hole_HW.astype(np.uint8)
    for seed in seeds:
        method, radius = _METHODS[seed % 2], _RADII[seed // 2 % len(_RADII)]
        yield cv2.inpaint(wanted.frame_HWC, hole_HW, radius, method)


def by_lama(wanted: Wanted, seeds: Sequence[int]) -> Iterator[np.ndarray]:
    """LaMa, which has no seeds: all candidates are the same."""
    try:
        from simple_lama_inpainting import SimpleLama
    except ModuleNotFoundError as error:
        raise UserError(_NO_LAMA) from error
    mask = Image.fromarray(wanted.hole_HW.astype(np.uint8) * 255)
    height, width = wanted.hole_HW.shape
    frame_HWC = np.asarray(SimpleLama()(Image.fromarray(wanted.frame_HWC), mask).convert("RGB"))[:height, :width]
    yield from (frame_HWC for _ in seeds)


def _key(kind: str, wanted: Wanted, seeds: Sequence[int]) -> str:
    digests = [of_json([array.shape, array.tobytes().hex()]) for array in (wanted.frame_HWC, wanted.hole_HW)]
    return of_json([kind, digests, wanted.prompt, wanted.negative_prompt, list(seeds)])


def _kept(folder: Path, found: Candidates, key: str) -> bool:
    record = folder / RECORD
    if not record.is_file() or not all(file.is_file() for file in (*found.files, found.sheet)):
        return False
    try:
        return bool(read_json(record).get("key") == key) and all(read_image(file).size for file in found.files)
    except UserError:
        return False


def _write_picture(picture: Image.Image, path: Path) -> None:
    with replacing(path) as partial:
        picture.save(partial, format="png")


def _sheet(wanted: Wanted, frames: Sequence[np.ndarray], seeds: Sequence[int]) -> Image.Image:
    """Candidates in one row of up to four, numbered, below the source."""
    height, width = wanted.hole_HW.shape
    scale = _CELL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    shown = [fitted(frame_HWC, size) for frame_HWC in frames]
    rows = [PictureRow("source", [fitted(wanted.frame_HWC, size)])]
    for start in range(0, len(shown), _COLUMNS):
        part = shown[start : start + _COLUMNS]
        first, last = start + 1, start + len(part)
        label = f"{first} to {last}, from the left: seeds {seeds[first - 1]} to {seeds[last - 1]}"
        rows.append(PictureRow(f"{first}: seed {seeds[start]}" if first == last else label, part))
    return grid(rows, above=28, title=wanted.prompt)
