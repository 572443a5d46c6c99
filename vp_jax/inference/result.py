"""What comes back: frames at the source's size, pasted, and the file they are written to."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vp_jax.inference.decode import Decoded
from vp_jax.inference.inputs import Video
from vp_jax.inference.request import Request
from vp_jax.inference.stream import Event, WindowDone
from vp_jax.media.canvas import Finished
from vp_jax.media.encoders import check_quality
from vp_jax.media.fidelity import Fidelity, outside
from vp_jax.media.frames import Frames, again
from vp_jax.media.native_writer import Pasting, write_pasted
from vp_jax.media.pixel_box import box_around
from vp_jax.media.streams.carried import Carried
from vp_jax.media.video_writer import write_video

_RIM = 32
"""Pixels around a hole whose colours its chroma samples are made of, and more, see `vp_jax.media.pixels.paste`."""


class Segment(NamedTuple):
    """Frames that one more window finished.

    Attributes:
      start: number of the first.
      frames_FHWC: uint8, at the source's size, pasted.
      window, windows: number of the window, from 0, and how many there are.
    """

    start: int
    frames_FHWC: np.ndarray
    window: int
    windows: int


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """An inpainted video.

    Attributes:
      request: what was asked for; its settings, plan and source.
      model_FHWC: uint8, the frames as the model made them, at its size. In reference mode fewer than the source's.
        An array, or streamed, as jobs have them.
    """

    request: Request
    model_FHWC: Frames

    def __len__(self) -> int:
        return len(self.model_FHWC)

    @property
    def frames(self) -> Finished:
        """The frames at the source's size, pasted, each made when it is asked for."""
        return _finished(self.request, 0, self.model_FHWC)

    def shown(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Frame by frame the source, its hole and the result, uint8, bool and uint8, of one size.

        They are read apart from those of `frames`, so a thread may go through them.
        """
        frames_FHWC, holes_FHW = again(self.request.video.frames_FHWC), again(self.request.holes_FHW)
        own = dataclasses.replace(self.request, video=Video(frames_FHWC), holes_FHW=holes_FHW)
        for number, result_HWC in enumerate(_finished(own, 0, self.model_FHWC)):
            yield frames_FHWC[number], holes_FHW[number], result_HWC

    @property
    def frames_FHWC(self) -> np.ndarray:
        """All frames as one array, uint8."""
        return np.stack(self.frames)

    def save(
        self,
        path: str | Path,
        *,
        quality: int | None = None,
        warn: Callable[[str], object] = warnings.warn,
        carried: Callable[[Carried], object] | None = None,
        note: Callable[[Fidelity], object] | None = None,
    ) -> Path:
        """Write the frames with their times and every other stream of the source, in its own pixel format and depth.

        What is kept of a video that `vp_jax.read_video` read is read from its file again. Videos made of arrays are
        written as 8-bit RGB.

        Args:
          path: .mp4 .mov .webm .mkv (lossless) .gif, or a name without suffix for a folder of PNG frames (lossless).
          quality: of lossy formats, 0 (best) to 51; default 17.
          warn: called with one line for each thing that the source has and this format cannot hold.
          carried: called for everything of the source but its pictures, with what became of it.
          note: called with how the written pixels outside of the hole differ from the source's, its ``line`` for
            people; default: that is not measured.

        Returns:
          ``path``.

        Raises:
          UserError: unknown suffix, a file that cannot be written, or a source that changed since it was read.
        """
        path, video = Path(path), self.request.video
        check_quality(quality, path)
        clock, tracks = video.first(len(self))
        pasting = self._pasting(path)
        given: dict[str, Any] = {"quality": quality, "clock": clock, "tracks": tracks}
        if pasting is None:
            lines = write_video(path, self.frames, video.fps, **given)
            for line in _rgb_notes(video, path):
                warn(line)
        else:
            lines = write_pasted(path, pasting, video.fps, warn=warn, **given)
        for found in lines:
            if carried is not None:
                carried(found)
            if found.how == "lost":
                warn(found.line)
        if note is not None and pasting is not None and pasting.holes_FHW is not None:
            note(outside(path, pasting))
        return path

    def _pasting(self, path: Path) -> Pasting | None:
        """How to write in the source's own pixels; None where 8-bit RGB is as much as source or format have."""
        request, video, source = self.request, self.request.video, self.request.video.source
        if source is None or source.layout is None or path.suffix.lower() == ".gif":
            return None
        if video.border is not None and not video.border.aligned(source.layout, interlaced=source.interlaced):
            return None
        if not path.suffix and source.layout.family == "yuv" and source.layout.depth == 8 and not source.layout.alpha:
            return None

        holes_FHW = request.holes_FHW[: len(self)] if request.paste else None

        def generated(index: int) -> np.ndarray:
            part = None if holes_FHW is None else box_around(holes_FHW[index], _RIM)
            return request.fit.picture(self.model_FHWC[index], index, part)

        return Pasting(source, video.numbers[: len(self)], generated, holes_FHW, request.feather, video.border)


class Collector:
    """Gathers the frames of a run into its `result`."""

    def __init__(self, request: Request) -> None:
        self._model_FHWC = np.empty((request.plan.output_frames, *request.size, 3), np.uint8)
        self.result = Result(request, self._model_FHWC)

    def take(self, event: Event | Decoded) -> None:
        """Take the frames of an event, if it has any."""
        if isinstance(event, Decoded):
            self._model_FHWC[event.start : event.start + len(event.frames_FHWC)] = event.frames_FHWC


def collect(events: Iterable[Event | Decoded], request: Request) -> Result:
    """The result of a run, from all its events."""
    collector = Collector(request)
    for event in events:
        collector.take(event)
    return collector.result


def segments(events: Iterable[Event | Decoded], request: Request) -> Iterator[Segment]:
    """Finished frames of a run, window by window, while it goes on."""
    parts: list[Decoded] = []
    for event in events:
        if isinstance(event, Decoded):
            parts.append(event)
        if isinstance(event, WindowDone) and parts:
            start, made_FHWC = parts[0].start, np.concatenate([part.frames_FHWC for part in parts])
            frames_FHWC = np.stack(_finished(request, start, made_FHWC))
            yield Segment(start, frames_FHWC, event.window, len(request.plan.windows))
            parts = []


def _rgb_notes(video: Video, path: Path) -> tuple[str, ...]:
    """Lines about a result in 8-bit RGB."""
    source, border = video.source, video.border
    if source is None or source.layout is None or border is None:
        return source.notes if source and source.layout is None else ()
    if border.aligned(source.layout, interlaced=source.interlaced) or path.suffix.lower() == ".gif":
        return ()
    rows, columns = source.layout.step[0] * (1 + source.interlaced), source.layout.step[1]
    return (
        f"format becomes 8-bit RGB: {source.layout} keeps its samples under an extend of left by multiples of "
        f"{columns} and top by multiples of {rows}",
    )


def _finished(request: Request, start: int, made_FHWC: Frames) -> Finished:
    span = slice(start, start + len(made_FHWC))
    source_FHWC, holes_FHW = request.video.frames_FHWC[span], request.holes_FHW[span]

    def place(frame_HWC: np.ndarray, index: int) -> np.ndarray:
        part = box_around(holes_FHW[index], _RIM) if request.paste else None
        return request.fit.picture(frame_HWC, start + index, part)

    look: dict[str, Any] = {"paste": request.paste, "feather": request.feather}
    return Finished(source_FHWC, holes_FHW, made_FHWC, place=place, **look)
