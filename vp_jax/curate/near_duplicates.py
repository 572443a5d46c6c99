"""Clips that show the same: perceptual hashes that differ in a few bits.

Pairs are found without comparing all of them: hashes that differ in at most N bits agree in at least one of N + 1
bands, so only clips that share a band are compared. The first of each group stays.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

from vp_jax.curate.record import ClipRecord


def near_duplicates(clips: Sequence[ClipRecord], most_bits: int) -> dict[str, str]:
    """Names of clips that repeat an earlier one, with the name of that one.

    Args:
      clips: collected ones, with ``hashes``.
      most_bits: in which the hashes of two clips may differ, over all their key frames; negative: nothing is compared.
    """
    found: dict[str, str] = {}
    if most_bits < 0:
        return found
    bands: dict[tuple[int, int, int], list[tuple[str, int]]] = defaultdict(list)
    for clip in clips:
        if not clip.hashes:
            continue
        value, length = int("".join(clip.hashes), 16), 64 * len(clip.hashes)
        keys = [(length, number, band) for number, band in enumerate(_bands(value, length, most_bits + 1))]
        near = (name for key in keys for name, other in bands[key] if (value ^ other).bit_count() <= most_bits)
        if (first := next(near, None)) is not None:
            found[clip.name] = first
            continue
        for key in keys:
            bands[key].append((clip.name, value))
    return found


def _bands(value: int, length: int, count: int) -> Iterator[int]:
    """``count`` parts of the bits of a value."""
    ends = [length * number // count for number in range(count + 1)]
    for start, end in itertools.pairwise(ends):
        yield value >> start & ((1 << end - start) - 1)
