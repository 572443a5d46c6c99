"""Doors for what runs and jobs write about themselves: packaged runs, and the marks of unfinished work."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import jax

from tests.fuzz.doors import Wrong, door
from tests.fuzz.mutations import Rng, damage_file, damage_one, damaged_json, pick
from tests.fuzz.run_doors import KEPT_JOB
from tests.runs.test_package import run_folder
from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.inference.state import Carry
from vp_jax.jobs.claim import claimed, clear
from vp_jax.jobs.manifest import Manifest
from vp_jax.jobs.store import WindowStore
from vp_jax.runs.package import package, table

OTHER_JOB = Manifest({"job": "another"}, KEPT_JOB.windows)


def packaged_runs(folder: Path) -> None:
    """Two finished runs, and a folder made of the first."""
    runs = [run_folder(folder / name, name, name, 1.0) for name in ("vae", "branch")]
    package(runs[:1], folder / "out")


@door("packaged runs", packaged_runs)
def _packaged(folder: Path, rng: Rng) -> Callable[[], object]:
    if rng.random() < 0.4:
        damage_file(folder / "out" / "provenance.json", rng)
    else:
        names = ("branch/config.json", "branch/starts.jsonl", "branch/metrics.jsonl", "branch/**/*")
        damage_one(folder, rng, pick(rng, names))
    keep = pick(rng, ((), ("vae",), ("vae",), ("other",)))

    def pack() -> None:
        try:
            table(folder / "out")
        except UserError:
            pass
        package([folder / "branch"], folder / "out", keep)
        table(folder / "out")

    return pack


def unfinished_work(folder: Path) -> None:
    """An output that was claimed, with a finished window, and what a killed process left."""
    with claimed(folder / "out.mkv") as place:
        WindowStore(place, KEPT_JOB).save(0, Carry(jax.numpy.ones((1, 2, 2, 2, 4)), None))
    for left in (folder / ".vp_jax-left", place / ".vp_jax-left"):
        left.mkdir()
        mark = {"host": socket.gethostname(), "pid": 2**22 - 1, "started": "1", "names": ["out.mkv", "job.txt"]}
        (left / "mine").write_text(json.dumps(mark))


@door("unfinished work", unfinished_work)
def _unfinished(folder: Path, rng: Rng) -> Callable[[], object]:
    precious = folder / "precious"
    precious.write_text("not ours")
    mark = pick(rng, (folder / ".vp_jax-left" / "mine", folder / "out.job" / ".vp_jax-left" / "mine"))
    if rng.random() < 0.5:
        mark.write_bytes(damaged_json(mark.read_bytes(), rng))
    else:
        damage_one(folder, rng, pick(rng, (".vp_jax-left/*", "out.job/**/*", "out.job/*")))

    def go_on() -> None:
        with claimed(folder / "out.mkv") as place:
            WindowStore(place, pick(rng, (KEPT_JOB, OTHER_JOB))).save(1, Carry(jax.numpy.ones((1, 2, 2, 2, 4)), None))
            write_text(folder / "out.mkv", "the result")
            clear(place)
        if precious.read_text() != "not ours":
            raise Wrong("a file of somebody else was changed")

    return go_on
