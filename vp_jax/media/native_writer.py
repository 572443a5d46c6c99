"""Write a result in the pixels of its source: each frame of the source is read again, pasted into, and encoded.

    source file -> planes, upright -> paste -> the output's format -> encoder

Nothing of the source's native frames is held in memory. Where the output is RGB and the source is not (a folder of
PNG), the source's frame is converted first and the paste is made in RGB, so that the hole keeps its full resolution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, cast

import av
import av.filter
import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.clock import FrameClock
from vp_jax.media.encoders import png_layout, track_for
from vp_jax.media.extend import Border
from vp_jax.media.frames import Frames
from vp_jax.media.images import image_files
from vp_jax.media.pixels.colour import FULL, LIMITED, Colours
from vp_jax.media.pixels.paste import paste
from vp_jax.media.pixels.pixel_format import CONVERSION, PixelFormat, Planes, frame_of, planes_of, spread
from vp_jax.media.planes import NativeFrame, native_frames
from vp_jax.media.source import SourceVideo
from vp_jax.media.stills import still_bytes, suffix_for
from vp_jax.media.streams.carried import Carried, TrackSource
from vp_jax.media.video_track import VideoTrack
from vp_jax.media.video_writer import check_output, write_frames, write_images
from vp_jax.reading import show


class Pasting(NamedTuple):
    """What is put into the frames of a source.

    Attributes:
      source: whose frames are kept.
      numbers: of the source's frames that are written, ascending.
      generated: SDR RGB uint8 (H, W, 3) of the i-th written frame, at the size that is written.
      holes_FHW: bool, True = generated, of the written frames; None: everything is.
      feather: see `vp_jax.media.canvas`.
      border: pixels that are added around the source's, see `vp_jax.media.extend.Border.aligned`.
    """

    source: SourceVideo
    numbers: Sequence[int]
    generated: Callable[[int], np.ndarray]
    holes_FHW: Frames | None
    feather: int = 0
    border: Border | None = None

    @property
    def target(self) -> SourceVideo:
        """What is written: the source with its border, whose colours stay what they are at its own size."""
        if self.border is None:
            return self.source
        height, width = self.border.size(self.source.height, self.source.width)
        target = dataclasses.replace(self.source, height=height, width=width)
        if target.matrix == self.source.matrix:
            return target
        return dataclasses.replace(target, colours=target.colours._replace(matrix=self.source.matrix))

    def frames(self) -> Iterator[NativeFrame]:
        """The source's frames that are written, with their border."""
        for frame in native_frames(self.source, frozenset(self.numbers)):
            if self.border is None:
                yield frame
            else:
                yield frame._replace(planes=self.border.planes(frame.planes, frame.layout))

    def hole(self, index: int) -> np.ndarray:
        """The hole of the i-th written frame."""
        if self.holes_FHW is None:
            return np.ones((self.target.height, self.target.width), bool)
        hole_HW: np.ndarray = self.holes_FHW[index]
        return hole_HW


def write_pasted(
    path: str | Path,
    pasting: Pasting,
    fps: Fraction | float,
    *,
    quality: int | None = None,
    clock: FrameClock | None = None,
    tracks: TrackSource | None = None,
    warn: Callable[[str], object],
) -> tuple[Carried, ...]:
    """Write a result in the planes and depth of its source as far as the output has them.

    Args:
      path: .mp4 .mov .webm .mkv, or a name without suffix for a folder of images, PNG or, of a folder of TIFF, TIFF.
      pasting: the source and what is generated.
      fps: frames per second.
      quality: of lossy formats, see `vp_jax.media.encoders`.
      clock: see `vp_jax.media.video_writer.write_video`.
      tracks: see there.
      warn: called with one line for each property of the source that the output cannot hold.

    Returns:
      What became of the source's other streams and of the times.

    Raises:
      UserError: the output cannot be written, or the source changed since it was first read.
    """
    path, dropped, target = check_output(path), _Dropped(), pasting.target
    if not path.suffix:
        for line in pasting.source.notes:
            warn(line)
        suffix = suffix_for(image_files(pasting.source.path) if pasting.source.images else [])
        tags = target.colours if target.light is not None else None
        stills = (still_bytes(frame.planes, frame.layout, suffix, tags) for frame in _pasted_rgb(pasting))
        return write_images(path, stills, fps, suffix=suffix, clock=clock, tracks=tracks)
    track = track_for(target, path.suffix.lower(), quality)
    for line in track.lost:
        warn(line)
    frames = (_to_track(frame, target, track, dropped) for frame in _pasted(pasting))
    if track.top_first is not None:
        frames = _as_fields(frames, track)
    carried = write_frames(path, frames, track, fps, clock=clock, tracks=tracks)
    for line in dropped.lines(path):
        warn(line)
    return carried


class _Dropped:
    """What turns out to be lost only when frames are seen."""

    def __init__(self) -> None:
        self.transparent = 0
        self.other: dict[str, int] = {}

    def lines(self, path: Path) -> list[str]:
        out = [f"format of {count} frames, {kind}, becomes that of the first" for kind, count in self.other.items()]
        if self.transparent:
            out.append(f"transparency of {self.transparent} frames is lost: {path.suffix} here has none, .mkv would")
        return out


def _pasted(pasting: Pasting) -> Iterator[NativeFrame]:
    for index, frame in enumerate(_numbered(pasting)):
        yield frame._replace(planes=_paste(pasting, index, frame))


def _numbered(pasting: Pasting) -> Iterator[NativeFrame]:
    """The frames of the source, all of them."""
    count = 0
    for count, frame in enumerate(pasting.frames(), start=1):
        yield frame
        if count == len(pasting.numbers):
            break
    if count < len(pasting.numbers):
        raise UserError(f"{show(pasting.source.path)}: ends before frame {pasting.numbers[count]}, it changed")
    pasting.source.check_unchanged()


def _pasted_rgb(pasting: Pasting) -> Iterator[NativeFrame]:
    """Pasted frames as an image holds them: RGB or grey, 8 or 16 bits."""
    for index, source_frame in enumerate(_numbered(pasting)):
        frame = as_png(source_frame, pasting.target)
        yield frame._replace(planes=_paste(pasting, index, frame))


def as_png(frame: NativeFrame, source: SourceVideo) -> NativeFrame:
    """A source's frame as a PNG holds it."""
    layout, colours = png_layout(frame.layout), source.colours._replace(matrix=0, range=FULL)
    return frame._replace(planes=converted(frame, source, layout, colours), layout=layout)


def _paste(pasting: Pasting, index: int, frame: NativeFrame) -> Planes:
    hole_HW = pasting.hole(index)
    if not hole_HW.any():
        return frame.planes
    given = (pasting.generated(index), hole_HW, pasting.target.signal, pasting.feather)
    return paste(frame.planes, frame.layout, *given)


def converted(frame: NativeFrame, source: SourceVideo, layout: PixelFormat, colours: Colours) -> Planes:
    """Planes of a source's frame in another format and other tags; the same, untouched, where nothing differs."""
    given = frame.layout
    if given == layout:
        return frame.planes
    if given._replace(step=(1, 1)) == layout:
        return spread(frame.planes, given)[0]
    if given.alpha and given._replace(alpha=False) == layout:
        return frame.planes[:-1]
    options: dict[str, Any] = {"interpolation": CONVERSION}
    if given.family == "yuv":
        options |= {"src_colorspace": source.matrix, "src_color_range": source.colours.range or LIMITED}
    if layout.family == "yuv":
        matrix = colours.matrix_for(source.height, source.width)
        options |= {"dst_colorspace": matrix, "dst_color_range": colours.range or LIMITED}
    return planes_of(frame_of(frame.planes, given).reformat(format=layout.name, **options))


def _to_track(frame: NativeFrame, source: SourceVideo, track: VideoTrack, dropped: _Dropped) -> av.VideoFrame:
    layout = track.layout
    assert layout is not None
    if frame.layout != source.layout:
        dropped.other[str(frame.layout)] = dropped.other.get(str(frame.layout), 0) + 1
    if frame.layout.alpha and not layout.alpha:
        dropped.transparent += bool((frame.planes[-1] != (1 << frame.layout.depth) - 1).any())
    out = frame_of(converted(frame, source, layout, track.colours), layout)
    if track.pix_fmt != layout.name:
        out = out.reformat(format=track.pix_fmt)
    out.color_primaries, out.color_trc, out.colorspace, out.color_range = track.colours
    return out


def _as_fields(frames: Iterator[av.VideoFrame], track: VideoTrack) -> Iterator[av.VideoFrame]:
    """Frames marked as interlaced, which only a filter of FFmpeg can do from here."""
    graph: av.filter.Graph | None = None
    for frame in frames:
        if graph is None:
            graph = av.filter.Graph()
            start = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
            )
            middle = graph.add("setparams", f"field_mode={'tff' if track.top_first else 'bff'}")
            end = graph.add("buffersink")
            start.link_to(middle)
            middle.link_to(end)
            graph.configure()
        graph.push(frame)
        marked = cast(av.VideoFrame, graph.pull())
        marked.pts = None
        yield marked
