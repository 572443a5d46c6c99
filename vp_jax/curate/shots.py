"""Shots of a clip, and the pieces that they are cut into."""

from __future__ import annotations

import itertools
from fractions import Fraction

from vp_jax.curate.record import ClipRecord

FrameSpan = tuple[int, int]
"""Frames [start, stop)."""


def shots_of(clip: ClipRecord) -> list[FrameSpan]:
    """The shots of a clip, in order."""
    ends = [0, *clip.cuts, clip.frames]
    return [(start, stop) for start, stop in itertools.pairwise(ends) if stop > start]


def pieces_of(shot: FrameSpan, rate: Fraction, piece_seconds: float, least_seconds: float) -> list[FrameSpan]:
    """A shot in pieces of ``piece_seconds``; a rest shorter than ``least_seconds`` is left out (paper, section 3.1)."""
    length, least = int(Fraction(piece_seconds) * rate), Fraction(least_seconds) * rate
    starts = range(shot[0], shot[1], max(1, length))
    spans = [(start, min(start + length, shot[1])) for start in starts]
    return [(start, stop) for start, stop in spans if stop - start >= least]
