"""Windows of a run that are finished, kept on disk until its result is: the same command continues after them.

Beside ``out.mp4`` lies meanwhile the folder ``.out.windows``::

    run                what the run was asked for, as a checksum; windows of another run are not used
    00000.npz ...      final latents of each window
    states_00004.npz   what the next window reads of the newest one, if it reads any (clip weight above 0)
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from vp_jax.inference.record import place
from vp_jax.inference.window import Carry
from vp_jax.models.id_resample import PreviousWindow

_RUN = "run"


def fingerprint(parts: Iterable[object]) -> str:
    """Checksum of arrays (all bytes), folders (names, sizes and times of their files) and other values (their text)."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"{part.shape} {part.dtype}".encode())
            total.update(np.ascontiguousarray(part).tobytes())
        elif isinstance(part, Path):
            files = sorted(file for file in part.rglob("*") if file.is_file())
            facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
            total.update(repr((str(part), facts)).encode(errors="surrogateescape"))
        else:
            total.update(repr(part).encode(errors="surrogateescape"))
    return total.hexdigest()


class FinishedWindows:
    """Stored carries by window number, written in order."""

    def __init__(self, out: Path, run: str) -> None:
        """``out``: where the result goes; ``run``: `fingerprint` of all that shapes it. Windows of other runs go."""
        self.folder = out.with_name(f".{out.stem}.windows")
        self._run = run
        marker = self.folder / _RUN
        if not marker.is_file() or marker.read_bytes() != run.encode():
            self.clear()

    def __len__(self) -> int:
        """How many windows, from the first on, are there."""
        count = 0
        while self._file(count).is_file():
            count += 1
        return count

    def load(self, number: int, *, states: bool = False) -> Carry | None:
        """Carry of a window, ``None`` if it has to be made. ``states``: the next window will read its states."""
        try:
            with self._file(number).open("rb") as stream, np.load(stream) as file:
                latents_BThwC = jnp.asarray(file["latents_BThwC"])
            if not states or self._file(number + 1).is_file():
                return Carry(latents_BThwC, None)
            with self._states(number).open("rb") as stream, np.load(stream) as file:
                states_LBSD = file["states_LBSD"]  # bfloat16 comes back as two bytes without a name
                typed = states_LBSD.view(jnp.bfloat16) if states_LBSD.dtype.kind == "V" else states_LBSD
                return Carry(latents_BThwC, PreviousWindow(jnp.asarray(typed), jnp.asarray(file["masked_BS"])))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, number: int, carry: Carry) -> None:
        """Store a window; the states of the one before are let go.

        Raises:
          UserError: it cannot be written.
        """
        place(self.folder / _RUN, lambda path: path.write_text(self._run))
        if (previous := carry.previous) is not None:
            states_LBSD, masked_BS = map(np.asarray, previous)
            place(self._states(number), lambda path: np.savez(path, states_LBSD=states_LBSD, masked_BS=masked_BS))
        place(self._file(number), lambda path: np.savez(path, latents_BThwC=np.asarray(carry.latents_BThwC)))
        if number:
            self._states(number - 1).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything: the result is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:05d}.npz"

    def _states(self, number: int) -> Path:
        return self.folder / f"states_{number:05d}.npz"
