"""The checksums of FFV1 (RFC 9043), which FFmpeg compares but only logs: it shows a damaged slice all the same.

From version 3 on, the configuration record ends with a CRC, and so does every slice unless the writer left it out:

    slice:   data ... | size of data, 24 bits | error status, 8 bits | CRC, 32 bits
    without: data ... | size of data, 24 bits

The CRC of a slice with its own CRC is zero. The polynomial is that of zlib, but the bits of a byte run the other way.
"""

from __future__ import annotations

import zlib

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ONES = 0xFFFFFFFF
_EXPERIMENTAL = 0x5E31029E
"""Start, and end, of the CRC in version 4, 0x7A8C4079 with the bits of each byte mirrored."""
_CHECKED, _BARE = 8, 3
"""Bytes behind a slice, with a checksum and without."""


def is_damaged(configuration: bytes, packet: bytes) -> bool:
    """Whether the bytes of a frame are not what the encoder wrote, as far as they carry checksums.

    Args:
      configuration: the decoder's ``extradata``; empty in versions 0 and 1, which have no checksums.
      packet: one frame.
    """
    if not configuration:
        return False
    if _wrong(configuration):
        return True
    slices = _slices(packet, _CHECKED)
    if slices is None:
        return _slices(packet, _BARE) is None
    return any(_wrong(one) for one in slices)


def _slices(packet: bytes, trailer: int) -> list[bytes] | None:
    """The slices of a frame, found from its end on; ``None`` if they do not fill it."""
    slices, end = [], len(packet)
    while end >= trailer:
        begin = end - trailer - int.from_bytes(packet[end - trailer : end - trailer + 3], "big")
        if begin < 0:
            return None
        slices.append(packet[begin:end])
        end = begin
    return None if end else slices


def _wrong(data: bytes) -> bool:
    mirrored = data.translate(_MIRRORED)
    return all(zlib.crc32(mirrored, start ^ _ONES) ^ _ONES != start for start in (0, _EXPERIMENTAL))
