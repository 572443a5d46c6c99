"""Scalars of a run over time: always ``metrics.jsonl``, and any number of boards, which show them as they come.

Each line of the JSONL file is one step, ``{"step": 12, "loss": 0.31, ...}``; numbers are exact (shortest repr).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vp_jax.files import write_text
from vp_jax.reading import read_bytes

METRICS_FILE = "metrics.jsonl"
MOST_METRICS = 1 << 30
"""Bytes of the largest file of metrics that is read: several million lines."""


class Board(Protocol):
    """A place where metrics, pictures and videos of a run are shown. A new one implements these four methods."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Show finite numbers of ``step``."""

    def picture(self, step: int, name: str, image_HWC: np.ndarray) -> None:
        """Show a uint8 picture."""

    def video(self, step: int, name: str, file: Path) -> None:
        """Show a video file."""

    def close(self) -> None:
        """The run ends."""


class MetricsWriter:
    """Appends lines to the metrics of a run, and passes everything on to its boards. Use it as a context manager.

    Args:
      folder: folder of the run; created if missing.
      resume_step: step that the run continues from. Later lines are removed, because their steps run again.
      boards: that show the run; they are closed with the writer.
    """

    def __init__(self, folder: str | Path, resume_step: int = 0, boards: Sequence[Board] = ()) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_metrics(folder) if line["step"] <= resume_step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_text(folder / METRICS_FILE, text)
        self._file = open(folder / METRICS_FILE, "a", buffering=1)
        self._boards = tuple(boards)

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        for board in self._boards:
            board.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Write the line of ``step``; values that are NaN or infinite are left out."""
        values = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        for board in self._boards:
            board.write(step, values)

    def picture(self, step: int, name: str, image_HWC: np.ndarray) -> None:
        """Show a uint8 picture on the boards."""
        for board in self._boards:
            board.picture(step, name, image_HWC)

    def video(self, step: int, name: str, file: Path) -> None:
        """Show a video file on the boards."""
        for board in self._boards:
            board.video(step, name, file)


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Read the lines of a run, in order, without those that a crash cut off or damaged. Empty if there is no file.

    Raises:
      UserError: the file cannot be read.
    """
    path = Path(folder) / METRICS_FILE
    if not os.path.lexists(path):
        return []
    lines = (_line(text) for text in read_bytes(path, MOST_METRICS).splitlines())
    return [line for line in lines if line is not None]


def _line(text: bytes) -> dict[str, Any] | None:
    """Step and finite numbers of a line, ``None`` if it holds anything else."""
    try:
        values = json.loads(text)
        step = values["step"]
        good = isinstance(step, int) and all(math.isfinite(value) for value in values.values())
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
    return values if good else None
