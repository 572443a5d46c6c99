"""Numbers of a run over time: ``metrics.jsonl`` always, TensorBoard beside it where tensorboardX is installed.

tensorboardX writes TensorBoard's files with protobuf alone; the other writers bring TensorFlow or PyTorch along.
Every line of the JSONL is one step, ``{"step": 12, "loss": 0.31, ...}``; numbers are exact (shortest repr).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.files import write_text

FILE = "metrics.jsonl"


class MetricsWriter:
    """Appends lines to a run's metrics. Use with ``with``.

    Args:
      folder: of the run; made if need be.
      resume_step: lines after this step are dropped: they are of steps that a restart repeats.
    """

    def __init__(self, folder: str | Path, resume_step: int = 0) -> None:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_metrics(folder) if line["step"] <= resume_step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_text(folder / FILE, text)
        self._file = open(folder / FILE, "a", buffering=1)
        self._board = _open_board(folder / "tensorboard", resume_step)

    def __enter__(self) -> MetricsWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One line; values that are not numbers of their own (NaN, infinite) are left out."""
        values = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image_HWC: np.ndarray) -> None:
        """A uint8 picture for TensorBoard."""
        if self._board is not None:
            self._board.add_image(name, image_HWC, step, dataformats="HWC")


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """The lines of a run, in order; one that a crash cut off is left out. Empty without a file."""
    path = Path(folder) / FILE
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def _open_board(folder: Path, resume_step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=resume_step + 1 if resume_step else None)
