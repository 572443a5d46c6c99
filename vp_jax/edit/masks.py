"""Where an edit happens: a mask file, a still area, or prompts of `vp_jax.segment`, as a mask file that a job reads.

mask.mkv, mask.png, masks/          a file or folder: as it is
area:40,20,100,80                   a still rectangle, x,y,width,height: where something is added
box:40,20,100,80   points:60,40     a thing, tracked from there
the red circle                      a thing by its words; without a model, words have to name one colour
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.edit.world import world_masks
from vp_jax.errors import UserError
from vp_jax.files import beside
from vp_jax.inference.inputs import Mask, Video
from vp_jax.media.masks import white_on_black
from vp_jax.media.video_writer import write_video
from vp_jax.reading import show
from vp_jax.segment.backends import named_backend
from vp_jax.segment.colour_words import colour_in
from vp_jax.segment.mask_files import TrackNotes
from vp_jax.segment.prompts import parse_prompts
from vp_jax.segment.tracking import Tracked, track
from vp_jax.world.synthetic import WorldClip

ONE_COLOUR = "grabcut"
"""The segmenter that needs no weights; of words it understands one colour."""
_AREA = re.compile(r"area:\s*(\d+),(\d+),(\d+),(\d+)\s*")


def mask_file(
    mask: str | None,
    target: str,
    video: Video,
    out: Path,
    *,
    clip: WorldClip | None = None,
    segmenter: str = ONE_COLOUR,
    note: Callable[[str], object] = lambda line: None,
) -> Path:
    """The file that holds the mask of an edit; what is not a file yet is written beside ``out``, lossless.

    Args:
      mask: see the module; ``None``: the words of ``target``.
      target: words of the thing.
      video: the source.
      out: of the job; ``out.mp4`` gives ``out_mask.mkv``.
      clip: the drawn clip that ``video`` shows, whose things are found by words without a model.
      segmenter: see `vp_jax.segment.backends.named_backend`.
      note: is given what was found by tracking, a line at a time.

    Raises:
      UserError: nothing says where, an area outside of the picture, or what the segmenter says.
    """
    if mask is not None and Path(mask).exists():
        return Path(mask)
    text = mask or target
    if not text.strip():
        raise UserError("mask: where? Expected a file, area:x,y,width,height, box:x,y,width,height or words")
    if mask is None and clip is None and segmenter == ONE_COLOUR and colour_in(text) is None:
        raise UserError(
            f"mask: where is {show(text)!r}? Without a model, words have to name one colour; give `mask`, a "
            "`segmenter` that reads words, or a model with `vlm`"
        )
    if found := _AREA.fullmatch(text):
        holes = _area([int(number) for number in found.groups()], video)
    elif clip is not None and ":" not in text:
        holes = iter(world_masks(clip, text))
    elif re.search(r"[/\\]|\.\w{2,4}$", text):
        raise UserError(f"mask {show(text)}: no such file")
    else:
        notes = TrackNotes([1])
        path = write_holes(notes.taken(_tracked(text, video, segmenter)), video, out)
        for line in notes.report().lines():
            note(line)
        return path
    return write_holes(holes, video, out)


def write_holes(holes: Iterable[np.ndarray], video: Video, out: Path) -> Path:
    """Write masks, bool (H, W) each, beside ``out``, lossless; returns their file."""
    path = beside(out, "_mask.mkv")
    write_video(path, map(white_on_black, holes), video.fps, clock=video.clock)
    return path


def first_hole(path: Path, video: Video, options: Mapping[str, Any] | None = None) -> np.ndarray:
    """The mask of the first frame, bool (H, W), as a job reads it with the ``options`` of `Mask.open`."""
    return np.asarray(Mask.open(path, like=video, **(options or {})).holes_FHW[0])


def _area(numbers: list[int], video: Video) -> Iterator[np.ndarray]:
    x, y, width, height = numbers
    rows, columns = video.size
    if not (width and height and x + width <= columns and y + height <= rows):
        raise UserError(f"mask area:{x},{y},{width},{height}: expected x,y,width,height within {columns}x{rows} pixels")
    hole_HW = np.zeros(video.size, bool)
    hole_HW[y : y + height, x : x + width] = True
    return (hole_HW for _ in range(len(video)))


def _tracked(text: str, video: Video, segmenter: str) -> Iterator[Tracked]:
    name, options = named_backend(segmenter)
    return track(lambda: iter(video.frames_FHWC), parse_prompts(text), name, **options)
