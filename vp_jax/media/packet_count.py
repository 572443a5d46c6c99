"""Frames of a long film, counted by its packets: reading them takes a hundredth of the time of decoding.

Only where every packet is known to be one frame, and what the file promises is there: mp4, mov and Matroska with a
codec that stores each frame alone or states when it is shown, from a key frame on that nothing precedes. What is broken
within a packet shows when it is decoded.
"""

from __future__ import annotations

from pathlib import Path

import av

from vp_jax.errors import UserError
from vp_jax.media.endings import ends_intact
from vp_jax.media.film import expected_packets, missing_part, open_film

_CONTAINERS = frozenset({"mov", "matroska"})
_CODECS = frozenset({"h264", "hevc", "prores", "mjpeg", "dnxhd"})
"""FFV1 is left out: its packets have a checksum, which is compared when they are decoded."""


def counted_by_packets(source: Path | bytes) -> int | None:
    """Frames of a film; None where only decoding tells, or tells what is wrong."""
    try:
        with open_film(source) as (container, stream):
            container_kind = _CONTAINERS & set(container.format.name.split(","))
            if not container_kind or stream.codec_context.name not in _CODECS:
                return None
            # an index counts the packets of mp4; Matroska states its size, and that it was cut shows nowhere else
            complete = "mov" in container_kind or ends_intact(source)
            return _counted(container, stream) if complete else None
    except (UserError, av.error.FFmpegError, OSError):
        return None


def _counted(container: av.container.InputContainer, stream: av.VideoStream) -> int | None:
    times: list[int] = []
    for packet in container.demux(stream):
        if not packet.size:
            continue
        leads = not times and not packet.is_keyframe
        if leads or packet.is_discard or packet.is_corrupt or packet.pts is None:
            return None
        times.append(packet.pts)
    if not times or min(times) != times[0] or len(set(times)) != len(times):
        return None
    end = float(max(times) * (stream.time_base or 0))
    return None if missing_part(stream, len(times), expected_packets(container, stream), end) else len(times)
