"""A process that opens doors, one input after another: ``python -m tests.fuzz.worker FD FOLDER``.

It reads lines of JSON from stdin, ``{"door": ..., "seed": ..., "number": ...}``, and writes one line for each to the
file descriptor FD. What the doors print goes to stderr. It can change nothing outside of FOLDER (`contained`).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tests.fuzz.contained import available, contain
from tests.fuzz.doors import DOORS, Door, Stopped, load_doors
from vp_jax.data.records import BadRecord
from vp_jax.errors import UserError

MOST_TEXT = 12_000
"""Characters of a refusal: it may repeat a name of 5,000."""
NOT_CONTAINED = "tests.fuzz needs Landlock (Linux 6.2 or newer): doors write and remove files, inputs name any of them"
MOST_WRITTEN = 1 << 30
"""Bytes of the largest file that an input may make a door write."""


class Folders:
    """Good input of each door, made once, and a fresh copy for every input."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fresh(self, door: Door) -> Path:
        """A copy of the door's good input."""
        good, copy = self._root / "good" / door.name.replace(" ", "_"), self._root / "input"
        if not good.exists():
            good.mkdir(parents=True)
            door.good(good)
        self._remove(copy)
        shutil.copytree(good, copy, symlinks=True)
        return copy

    @staticmethod
    def _remove(folder: Path) -> None:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            folder.rename(folder.with_name(f"left-{time.monotonic_ns()}"))


def answer(door: Door, folder: Path, seed: int, number: int) -> dict[str, Any]:
    """What one input led to: accepted, refused, or a fault with its traceback."""
    rng = np.random.default_rng([seed, zlib.crc32(door.name.encode()), number])
    call = door.attack(folder, rng)
    os.chdir(folder)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak of the memory
    begin = time.perf_counter()
    outcome, detail = "accepted", ""
    try:
        call()
    except (UserError, BadRecord) as error:
        outcome, detail = "unclear" if unclear(str(error), door) else "refused", str(error)
    except Stopped:
        pass
    except SystemExit as error:
        outcome = "refused" if error.code == 2 else "accepted" if not error.code else "traceback"
    except Exception:
        outcome, detail = "traceback", traceback.format_exc()
    seconds = time.perf_counter() - begin
    return {"outcome": outcome, "detail": detail, "seconds": round(seconds, 2), "peak": peak_bytes()}


def unclear(text: str, door: Door) -> bool:
    """Whether a refusal is not one readable line, or blames writing where nothing is written."""
    reads = door.attack.__module__.rpartition(".")[2] in ("file_doors", "data_doors", "model_doors")
    return not text or "\n" in text or len(text) > MOST_TEXT or (reads and "cannot be written" in text)


def peak_bytes() -> int:
    """Most memory that this process had since the last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def main() -> None:
    """Answer until stdin ends."""
    out = os.fdopen(int(sys.argv[1]), "w", buffering=1)
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_WRITTEN, MOST_WRITTEN))
    if not available():
        sys.exit(NOT_CONTAINED)
    root = Path(sys.argv[2]).resolve()
    contain(root)
    tempfile.tempdir = os.environ["TMPDIR"] = tempfile.mkdtemp(dir=root)
    folders = Folders(root)
    load_doors()
    print(json.dumps({"doors": {name: door.share for name, door in DOORS.items()}}), file=out)
    for line in sys.stdin:
        task = json.loads(line)
        door = DOORS[task["door"]]
        folder = folders.fresh(door)
        print(json.dumps({"ready": True}), file=out)
        with contextlib.redirect_stdout(sys.stderr):
            result = answer(door, folder, task["seed"], task["number"])
        print(json.dumps(result), file=out)


if __name__ == "__main__":
    main()
