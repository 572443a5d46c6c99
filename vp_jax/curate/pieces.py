"""Cutting pieces out of a video, exact to the frame: packets are copied where that is exact, else encoded without loss.

A copy starts at a key frame and holds all that its frames refer to. Whether it does is not guessed from headers: each
piece is decoded and compared with the frames of its source. The result is always .mp4, as VPData names its videos;
sound is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vp_jax.curate.frames import frames_of
from vp_jax.curate.shots import FrameSpan
from vp_jax.errors import UserError
from vp_jax.media.film import open_film
from vp_jax.media.native_writer import Pasting, write_pasted
from vp_jax.media.source import read_source
from vp_jax.media.video import probe

COPIED, LOSSLESS, ENCODED = "copied", "encoded without loss", "encoded with loss"


_COPIED_CODECS = ("h264", "hevc", "vp9", "libvpx-vp9", "av1", "libdav1d", "mpeg4")
"""Decoders of what .mp4 holds and other programs expect in it."""


def cut_pieces(source: Path, spans: Sequence[FrameSpan], files: Sequence[Path], rate: Fraction) -> list[str]:
    """Write the frames ``[start, stop)`` of a video, each span to its file.

    Args:
      source: a video.
      spans: frames of it.
      files: .mp4, one for each span.
      rate: frames per second of the source.

    Returns:
      How each was made: `COPIED`, `LOSSLESS`, or `ENCODED` where the format cannot hold the source's pixels.

    Raises:
      UserError: the source cannot be read, or a file cannot be written.
    """
    wanted = {number for start, stop in spans for number in range(start, stop)}
    digests = {number: _digest(frame_HWC) for number, frame_HWC in frames_of(source, frozenset(wanted))}
    made = []
    for (start, stop), file in zip(spans, files):
        expected = [digests[number] for number in range(start, stop)]
        if _copy(source, start, stop, file) and probe(file).fps == rate and _digests(file) == expected:
            made.append(COPIED)
            continue
        _encode(source, start, stop, file, rate)
        made.append(LOSSLESS if _digests(file) == expected else ENCODED)
    return made


def _digest(frame_HWC: np.ndarray) -> bytes:
    return hashlib.blake2b(frame_HWC.tobytes(), digest_size=16).digest()


def _digests(file: Path) -> list[bytes]:
    try:
        return [_digest(frame_HWC) for _, frame_HWC in frames_of(file)]
    except UserError:
        return []


def _copy(source: Path, start: int, stop: int, file: Path) -> bool:
    """Copy the packets of a span; False if it starts at no key frame, or .mp4 does not take them."""
    if source.is_dir():
        return False
    try:
        times, key_times = _packet_times(source)
        if stop > len(times) or times[start] not in key_times:
            return False
        first, end = times[start], times[stop] if stop < len(times) else None
        with open_film(source) as (container, stream), av.open(str(file), "w", format="mp4") as output:
            if stream.codec_context.name not in _COPIED_CODECS:
                return False
            out = output.add_stream_from_template(stream)
            begun = False
            for packet in container.demux(stream):
                if not packet.size or packet.pts is None or packet.dts is None or packet.is_discard:
                    continue
                begun = begun or packet.pts == first
                if begun and packet.pts >= first and (end is None or packet.pts < end):
                    packet.stream = out
                    packet.pts, packet.dts = packet.pts - first, packet.dts - first
                    output.mux(packet)
    except (av.error.FFmpegError, ValueError, RuntimeError):
        return False
    return True


def _packet_times(source: Path) -> tuple[list[int], set[int]]:
    """Times of all frames in order, and those of key frames."""
    times, keys = [], set()
    with open_film(source) as (container, stream):
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None and not packet.is_discard:
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.add(packet.pts)
    return sorted(times), keys


def _encode(source: Path, start: int, stop: int, file: Path, rate: Fraction) -> None:
    """Encode the source's own planes at quality 0, which is lossless in 8 bits."""
    described = read_source(source)
    kept_FHW = np.broadcast_to(np.zeros(1, bool), (stop - start, described.height, described.width))
    pasting = Pasting(described, range(start, stop), _nothing, kept_FHW)
    write_pasted(file, pasting, rate, quality=0, warn=_quiet)


def _nothing(index: int) -> np.ndarray:
    raise AssertionError("nothing is pasted")


def _quiet(line: str) -> None:
    """What an encoder cannot hold shows in the comparison of the frames."""
