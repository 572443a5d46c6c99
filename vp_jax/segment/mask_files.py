"""Tracked masks of a video file as a mask file, which every reader of masks takes; with what was found on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.encoders import LOSSLESS
from vp_jax.media.frames import again
from vp_jax.media.masks import white_on_black
from vp_jax.media.video import stream_video
from vp_jax.media.video_writer import check_output, write_video
from vp_jax.segment.prompts import AnyPrompt, Words, looks_like_prompt, parse_prompts, things_of
from vp_jax.segment.refine import Refinement
from vp_jax.segment.tracking import Tracked, moved, track


class MaskReport(NamedTuple):
    """What `write_masks` found.

    Attributes:
      frames: how many were tracked.
      things: their numbers.
      confidence: mean over the frames in which a thing was tracked, by its number.
      lost: numbers of the frames in which a thing was lost, by its number.
    """

    frames: int
    things: tuple[int, ...]
    confidence: dict[int, float]
    lost: dict[int, list[int]]

    def lines(self) -> list[str]:
        """Sentences for people: a line for each thing, and one for what was lost."""
        out = []
        for thing in self.things:
            name = f"thing {thing}: " if len(self.things) > 1 else ""
            frames = f"{self.frames} frame{'s' * (self.frames != 1)}"
            out.append(f"{name}{frames} tracked, mean confidence {self.confidence[thing]:.2f}")
            if lost := self.lost[thing]:
                shown = _ranges(lost)
                out.append(f"{name}lost in {len(lost)} frames ({shown}), where its mask is empty; add a prompt there")
        return out


def write_masks(
    video: str | Path,
    prompts: Sequence[AnyPrompt],
    out: str | Path,
    *,
    backend: str = "grabcut",
    refinement: Refinement | None = None,
    only: Sequence[int] = (),
    start: int = 0,
    stop: int | None = None,
    folder_fps: float | None = None,
    **options: Any,
) -> MaskReport:
    """Track things in a video and write their masks: white where one of them is, black elsewhere.

    Args:
      video: file or folder of frames.
      prompts: frames count from 0 in the video, which ``start`` does not change.
      out: .mkv, or a name without suffix for a folder of PNG: both lossless.
      backend: see `vp_jax.segment.backends`.
      refinement: what is done to the masks.
      only: things that are written; empty: all.
      start: first frame that is tracked; those before it get an empty mask.
      stop: frame to stop before; None: the end.
      folder_fps: rate of a folder of frames.
      **options: of the backend.

    Raises:
      UserError: prompts, video or output that cannot be used, nothing found in any frame, or nothing left of it after
        the refinement; a file that was there before is then left as it was.
    """
    out = check_output(out)
    if out.suffix not in LOSSLESS:
        raise UserError(f"{out}: masks are written without loss, expected .mkv or no suffix for a folder of PNG")
    if strange := set(only) - set(things_of(prompts)):
        raise UserError(f"thing {min(strange)}: there is no prompt for it")
    frames_FHWC, fps = stream_video(video, start=start, stop=stop, folder_fps=folder_fps)
    here = [moved(prompt, -start) for prompt in prompts]
    if early := [p for p in prompts if not isinstance(p, Words) and p.frame < start]:
        raise UserError(f"frame {early[0].frame} of a prompt: lies before start {start}")
    results = track(lambda: iter(again(frames_FHWC)), here, backend, **options)
    notes = TrackNotes(things_of(prompts), start, only)
    masks = notes.taken(results)
    refined = _some(refinement.applied(masks), "after the refinement nothing is left of it") if refinement else masks
    size = frames_FHWC.shape[1:3]
    write_video(out, _pictures(refined, start, size), fps)
    return notes.report()


def prompt_of(text: str, thing: int = 1, frame: int = 0) -> list[AnyPrompt]:
    """What ``--mask TEXT`` means where no file has that name: a box, points, or words.

    Args:
      text: see `vp_jax.segment.prompts.parse_prompts`.
      thing: its number.
      frame: the frame meant where the text names none.
    """
    found = parse_prompts(text, thing)
    return found if "@" in text and looks_like_prompt(text) else [moved(prompt, frame) for prompt in found]


class TrackNotes:
    """Takes note of results while they pass.

    Args:
      things: numbers of all things that are tracked.
      start: number of the first frame in the video.
      only: things whose masks are wanted; empty: all.
    """

    def __init__(self, things: Sequence[int], start: int = 0, only: Sequence[int] = ()) -> None:
        self._frames, self._start = 0, start
        self._things, self._only = tuple(things), tuple(only or things)
        self._sure: dict[int, list[float]] = {thing: [] for thing in things}
        self._lost: dict[int, list[int]] = {thing: [] for thing in things}

    def taken(self, results: Iterator[Tracked]) -> Iterator[np.ndarray]:
        """The masks of the chosen things, bool (H, W).

        Raises:
          UserError: at the end, if none of them marks a pixel.
        """
        yield from _some(self._passing(results), "nothing was found in any frame; add a prompt, or give another")

    def _passing(self, results: Iterator[Tracked]) -> Iterator[np.ndarray]:
        for found in results:
            self._frames += 1
            for thing, sure in found.confidence.items():
                self._sure[thing].append(sure)
            for thing in found.lost:
                self._lost[thing].append(found.frame + self._start)
            yield np.isin(found.labels_HW, self._only)

    def report(self) -> MaskReport:
        """What was noted of the results that passed."""
        confidence = {thing: float(np.mean(values or [0.0])) for thing, values in self._sure.items()}
        return MaskReport(self._frames, self._things, confidence, self._lost)


def _some(masks: Iterator[np.ndarray], otherwise: str) -> Iterator[np.ndarray]:
    """Masks, of which at least one has to mark a pixel: the writer of a file then does not keep it."""
    marked = False
    for mask_HW in masks:
        marked = marked or bool(mask_HW.any())
        yield mask_HW
    if not marked:
        raise UserError(f"mask: {otherwise}")


def _pictures(masks: Iterator[np.ndarray], before: int, size: tuple[int, ...]) -> Iterator[np.ndarray]:
    for _ in range(before):
        yield np.zeros((*size, 3), np.uint8)
    yield from map(white_on_black, masks)


def _ranges(numbers: Sequence[int]) -> str:
    """``3, 7-12, 40``; at most four parts."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    words = [f"{first}-{last}" if last > first else f"{first}" for first, last in parts]
    return ", ".join(words[:4]) + (f" and {len(words) - 4} more" if len(words) > 4 else "")
