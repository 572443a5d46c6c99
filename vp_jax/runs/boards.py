"""Boards that show a run, named by the setting ``boards``: ``tensorboard``, ``wandb``, or both, with commas between.

``metrics.jsonl`` and the files in the run's folder are written in any case. Packages of boards are imported when they
are used: pip install 'vp_jax[train,wandb]'.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.scalars import Board

WANDB_ID = "wandb_id.txt"
"""File in the folder of a run with the identifier of its W&B run: a run that continues shows up as one."""


class TensorBoard:
    """Files under ``RUN/tensorboard``, by tensorboardX, which needs neither TensorFlow nor PyTorch.

    Videos are left out: TensorBoard shows animated GIFs only. They lie in the folder of the run.
    """

    def __init__(self, folder: Path, resume_step: int) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=resume_step + 1 if resume_step else None)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See `vp_jax.scalars.Board`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image_HWC: np.ndarray) -> None:
        """See `vp_jax.scalars.Board`."""
        self._writer.add_image(name, image_HWC, step, dataformats="HWC")

    def video(self, step: int, name: str, file: Path) -> None:
        """Nothing."""

    def close(self) -> None:
        """See `vp_jax.scalars.Board`."""
        self._writer.close()


class WeightsAndBiases:
    """A run of W&B. Its own environment variables say where: ``WANDB_PROJECT``, ``WANDB_MODE=offline`` ..."""

    def __init__(self, folder: Path, values: Mapping[str, Any]) -> None:
        import wandb

        file = folder / WANDB_ID
        if not file.exists():
            write_text(file, uuid.uuid4().hex + "\n")
        self._wandb = wandb
        self._run = wandb.init(
            dir=str(folder),
            id=file.read_text().strip(),
            resume="allow",
            name=folder.resolve().name,
            config=dict(values),
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """See `vp_jax.scalars.Board`."""
        self._run.log(dict(values), step=step)

    def picture(self, step: int, name: str, image_HWC: np.ndarray) -> None:
        """See `vp_jax.scalars.Board`."""
        self._run.log({name: self._wandb.Image(image_HWC)}, step=step)

    def video(self, step: int, name: str, file: Path) -> None:
        """See `vp_jax.scalars.Board`."""
        self._run.log({name: self._wandb.Video(str(file), format="mp4")}, step=step)

    def close(self) -> None:
        """See `vp_jax.scalars.Board`."""
        self._run.finish()


def _tensorboard(folder: Path, resume_step: int, values: Mapping[str, Any]) -> Board | None:
    try:
        return TensorBoard(folder, resume_step)
    except ImportError:
        return None


def _wandb(folder: Path, resume_step: int, values: Mapping[str, Any]) -> Board:
    try:
        return WeightsAndBiases(folder, values)
    except ImportError as error:
        raise UserError("boards wandb: the package is missing, pip install 'vp_jax[wandb]', or leave it out") from error


BOARDS: dict[str, Callable[[Path, int, Mapping[str, Any]], Board | None]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
"""A board of each name; ``None``: it is not installed and nobody needs it, since the default names it."""


def board_names(text: str) -> tuple[str, ...]:
    """Names in a setting. Raises `UserError` for an unknown one."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in BOARDS]:
        raise UserError(f"boards {unknown[0]!r}: expected {', '.join(BOARDS)}, with commas between, or nothing")
    return names


def open_boards(text: str, folder: Path, resume_step: int, values: Mapping[str, Any]) -> list[Board]:
    """Boards of a run.

    Args:
      text: their names, see the module.
      folder: of the run.
      resume_step: step that the run continues from; 0: it starts.
      values: settings of the run.

    Raises:
      UserError: a name that is unknown, or a package that is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = (BOARDS[name](folder, resume_step, values) for name in board_names(text))
    return [board for board in found if board is not None]
