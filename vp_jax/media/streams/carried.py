"""What of a source goes into a result beside its pictures, and what became of it: descriptions only.

`vp_jax.media.streams.tracks` does the work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple


class Carried(NamedTuple):
    """What became of one thing of the source.

    Attributes:
      kind: ``sound``, ``subtitles``, ``chapters``, ``attachment``, ``cover``, ``data``, ``video``, ``tags`` or
        ``times``.
      how: whether its packets are the source's, were encoded anew, or did not all arrive.
      line: for people, ``sound 1 (aac, eng): copied, 431 packets``.
    """

    kind: str
    how: Literal["copied", "written", "lost"]
    line: str


@dataclasses.dataclass(frozen=True)
class TrackSource:
    """A file whose streams go with the frames that were read of it.

    Attributes:
      path: the file.
      zero: its second that is second 0 of the result.
      end: second of the result at which streams end; None: where they end.
      first_frame: the result starts with the source's first frame.
      stamp: size and time of change when the frames were read.
    """

    path: Path
    zero: Fraction = Fraction(0)
    end: Fraction | None = None
    first_frame: bool = True
    stamp: tuple[int, int] | None = None


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Size and time of change of a file, None for a folder or where there is none."""
    with contextlib.suppress(OSError, ValueError):  # a name with a NUL is no file either
        if not path.is_dir():
            state = os.stat(path)
            return state.st_size, state.st_mtime_ns
    return None
