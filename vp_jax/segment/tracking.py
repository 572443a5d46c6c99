"""Tracked masks of a video, streaming: one loop for every backend, forwards and backwards from the prompted frames.

A backend tracks in one direction, from the first frame it gets to the last. `track` calls it twice where a thing is
first prompted in a later frame::

    frame        0 ......... 30 ......... 60 ......... end
    thing 1      prompt ------------------------------->     one pass forwards
    thing 2      <----------- prompt ------------------>     a pass backwards over frames 30 to 0, with its result kept

A video is never in memory: the pass backwards reads it in parts, and keeps labels compressed.
"""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from vp_jax.errors import UserError
from vp_jax.segment.backends import make_backend
from vp_jax.segment.prompts import (
    AnyPrompt,
    Placed,
    Words,
    check_inside,
    check_prompts,
    described,
    first_frame_of,
    things_of,
)
from vp_jax.segment.results import Backend, Tracked

__all__ = ["Backend", "FrameSource", "Tracked", "track"]

PART_BYTES = 128 * 2**20
"""Pixels that a pass backwards holds at once."""

FrameSource = Callable[[], Iterator[np.ndarray]]
"""Gives a fresh iterator over the frames, uint8 (H, W, 3) RGB, each time it is called."""


def track(
    frames: FrameSource, prompts: Sequence[AnyPrompt], backend: str | Backend = "grabcut", **options: Any
) -> Iterator[Tracked]:
    """Masks of things in every frame of a video, in order.

    Args:
      frames: gives a fresh iterator over the frames, uint8 (H, W, 3) RGB; called again for the pass backwards.
      prompts: at least one for each thing. The first prompted frame of a thing is where its track starts, in both
        directions; further prompts correct it from their frame on.
      backend: a name of `vp_jax.segment.backends.TRACKERS`, or a backend.
      options: of a backend that is given by name.

    Yields:
      `Tracked`, one for each frame.

    Raises:
      UserError: no prompts, prompts outside of the picture or after the last frame, words for a backend that does not
        understand them, or a backend that cannot be loaded; before the first result.
    """
    check_prompts(prompts)
    if isinstance(backend, str):
        backend = make_backend(backend, **options)
    elif options:
        raise UserError(f"options {', '.join(options)}: only for a backend that is given by name")
    return _track(frames, prompts, backend)


def _track(frames: FrameSource, prompts: Sequence[AnyPrompt], backend: Backend) -> Iterator[Tracked]:
    placed = [prompt for prompt in prompts if not isinstance(prompt, Words)]
    _check_size(frames, placed)
    starts = {thing: first_frame_of(prompts, thing) for thing in things_of(prompts)}
    earliest, latest = min(starts.values()), max(starts.values())
    before = dict(_backwards(frames, prompts, starts, backend)) if latest else {}
    yield from (before.pop(number).unpacked() for number in range(earliest))
    count, rest = earliest, itertools.islice(frames(), earliest, None)
    for found in backend.track(rest, [moved(prompt, -earliest) for prompt in prompts]):
        found = found._replace(frame=found.frame + earliest)
        count = found.frame + 1
        yield merged(found, before.pop(found.frame).unpacked()) if found.frame in before else found
    for prompt in placed:
        if prompt.frame >= count:
            raise _after_end(prompt, count)


def moved(prompt: AnyPrompt, by: int) -> AnyPrompt:
    """A prompt with another frame number; words have none."""
    return prompt if isinstance(prompt, Words) else dataclasses.replace(prompt, frame=prompt.frame + by)


def merged(found: Tracked, before: Tracked) -> Tracked:
    """One frame of the pass forwards, with the things that only the pass backwards found there behind them."""
    labels_HW = np.where(found.labels_HW > 0, found.labels_HW, before.labels_HW)
    return Tracked(found.frame, labels_HW, {**before.confidence, **found.confidence}, before.lost | found.lost)


class _Packed(NamedTuple):
    """A result whose labels are compressed: a thousand of them take less room than a frame does."""

    found: Tracked
    shape: tuple[int, ...]
    data: bytes

    def unpacked(self) -> Tracked:
        labels_HW = np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.shape)
        return self.found._replace(labels_HW=labels_HW)


def _packed(found: Tracked) -> _Packed:
    empty_HW = np.zeros((0, 0), np.uint8)
    return _Packed(found._replace(labels_HW=empty_HW), found.labels_HW.shape, zlib.compress(found.labels_HW.tobytes()))


def _backwards(
    frames: FrameSource, prompts: Sequence[AnyPrompt], starts: dict[int, int], backend: Backend
) -> Iterator[tuple[int, _Packed]]:
    """Frame numbers and results of things before their first prompts, from the latest of these down to frame 0."""
    latest = max(starts.values())
    mirrored: list[AnyPrompt] = [
        dataclasses.replace(prompt, frame=latest - prompt.frame)
        for prompt in prompts
        if not isinstance(prompt, Words) and prompt.frame == starts[prompt.thing] > 0
    ]
    for found in backend.track(reversed_frames(frames, latest), mirrored):
        number = latest - found.frame
        own = [thing for thing, start in starts.items() if number < start]
        labels_HW = np.where(np.isin(found.labels_HW, own), found.labels_HW, 0).astype(np.uint8)
        confidence = {thing: found.confidence[thing] for thing in own}
        yield number, _packed(Tracked(number, labels_HW, confidence, found.lost & frozenset(own)))


def reversed_frames(frames: FrameSource, last: int) -> Iterator[np.ndarray]:
    """Frames ``last``, ``last - 1`` ... 0, read in parts of `PART_BYTES`.

    Raises:
      UserError: the video ends before ``last``.
    """
    first = next(frames(), None)
    part = max(1, PART_BYTES // max(1, first.nbytes if first is not None else 1))
    for stop in range(last + 1, 0, -part):
        held = list(itertools.islice(frames(), max(0, stop - part), stop))
        if len(held) < stop - max(0, stop - part):
            raise UserError(f"a prompt is on frame {last}, but the video ends before it")
        while held:
            yield held.pop()


def _check_size(frames: FrameSource, placed: Sequence[Placed]) -> None:
    first_HWC = next(frames(), None)
    if first_HWC is None:
        raise UserError("no frames to track in")
    for prompt in placed:
        check_inside(prompt, *first_HWC.shape[:2])


def _after_end(prompt: Placed, count: int) -> UserError:
    return UserError(f"{described(prompt)} is on frame {prompt.frame}, but the video has {count} frames")
