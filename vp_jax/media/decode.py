"""Video files to uint8 frames and back, through PyAV, one thread per clip.

Frames are counted in presentation order from 0 and decoded from the start of the file: consumer encoders put one key
frame into about 250 frames, so for ten-second clips seeking saves nothing and costs exactness. Only wanted frames are
converted to RGB, which is the dearer half of the work.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vp_jax.data.records import BadRecord


@dataclass(frozen=True)
class VideoInfo:
    """What the header says: frames, frames per second (0 if unknown), rows, columns."""

    frames: int
    fps: float
    height: int
    width: int


@contextmanager
def _opened(video: Path | bytes) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Container and first video stream; every FFmpeg or file error inside becomes a `BadRecord`."""
    name = "video" if isinstance(video, bytes) else video.name
    try:
        file = io.BytesIO(video) if isinstance(video, bytes) else str(video)
        # titles in other encodings than UTF-8 are no reason to lose a video
        with av.open(file, "r", metadata_errors="replace") as container:
            if not container.streams.video:
                raise BadRecord(f"{name} has no video stream")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise BadRecord(f"{name} has a video stream of a kind that FFmpeg does not know")
            # loader workers are the parallelism; decoder threads would fight them for the same cores
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.error.FFmpegError, OSError) as error:
        # FFmpeg words missing files and damaged ones alike as `[Errno n] text: path`; keep the text
        raise BadRecord(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error


def probe(video: Path | bytes) -> VideoInfo:
    """Header of a file or of its bytes. Files that do not state their length are counted packet by packet."""
    with _opened(video) as (container, stream):
        frames = stream.frames or sum(packet.pts is not None for packet in container.demux(stream))
        return VideoInfo(frames, float(stream.average_rate or 0), stream.height, stream.width)


def read_frames(video: Path | bytes, indices_F: np.ndarray) -> np.ndarray:
    """RGB uint8 FHWC of these frame numbers (ascending). Raises `BadRecord` if the video ends before the last."""
    wanted = {int(i): place for place, i in enumerate(indices_F)}
    last, seen = max(wanted), 0
    out_FHWC: np.ndarray | None = None
    with _opened(video) as (container, stream):
        for seen, frame in enumerate(container.decode(stream), start=1):
            place = wanted.get(seen - 1)
            if place is not None:
                rgb_HWC = frame.to_ndarray(format="rgb24")
                if out_FHWC is None:
                    out_FHWC = np.empty((len(wanted), *rgb_HWC.shape), np.uint8)
                if rgb_HWC.shape != out_FHWC.shape[1:]:
                    raise BadRecord(f"frame {seen - 1} is {rgb_HWC.shape[:2]}, earlier ones {out_FHWC.shape[1:3]}")
                out_FHWC[place] = rgb_HWC
            if seen > last and out_FHWC is not None:
                return out_FHWC
    raise BadRecord(f"video ends after {seen} frames, frame {last} was asked for")


def encode_mp4(frames_FHWC: np.ndarray, fps: float, crf: int = 12) -> bytes:
    """H.264 in mp4, 4:4:4 so that odd sizes and colour edges survive. ``crf`` 0 is lossless but for RGB <-> YUV."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames_FHWC.shape[1:3]
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": str(crf), "preset": "fast"}
        for image_HWC in frames_FHWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image_HWC), format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()
