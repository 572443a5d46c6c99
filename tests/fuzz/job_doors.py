"""Doors for what jobs keep and read: the folder of their windows, tables of jobs, prompts by time, and their numbers.

A model is replaced by black frames; everything before and behind it is real.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Callable, Generator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import jax.numpy as jnp
import numpy as np

from tests.fuzz.command_doors import Patch, _command, sampling
from tests.fuzz.doors import Wrong, door
from tests.fuzz.model_doors import NANO
from tests.fuzz.mutations import (
    NUMBERS,
    PLAIN_NUMBERS,
    TEXTS,
    Rng,
    damage_file,
    damage_one,
    damaged_json,
    damaged_text,
    number,
    pick,
)
from vp_jax.cli.main import run
from vp_jax.digests import of_json
from vp_jax.errors import UserError
from vp_jax.inference.inputs import FITS, Video
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.prompts import Prompts
from vp_jax.inference.settings import FILLS, Settings
from vp_jax.inference.state import Carry
from vp_jax.inference.text import unread
from vp_jax.models.folder import CheckpointFolder

MANIFEST = "out.job/manifest.json"
PRECIOUS = ("precious", "out.job.old", "jobs.csv.old", "out.jobs")
_GIVEN = ("--prompt_embeds", "text.npz", "--compilation_cache", "off", "--window", "5", "--overlap", "1")


def _black(
    pipeline: Any, request: Any, prepared: Any, damaged: Any, spool: Any, drawing: Any, clock: Any
) -> Generator[Any, None, None]:
    """In place of the model: reads what is kept, keeps what is missing, and makes black frames."""
    size = (request.plan.output_frames, *request.size, 3)
    if np.prod(size, dtype=float) > 10**7:
        raise UserError("larger than what is tried here")
    store = prepared.store
    for window in range(len(request.plan.windows)):
        if store.has(window):
            if not (np.asarray(store.carry(window).latents_BThwC) == window + 1.0).all():
                raise Wrong(f"window {window} holds other values than were saved")
        else:
            store.step(window)
            store.save(window, Carry(jnp.full((1, 2, 4, 6, 4), window + 1.0), None))
    spool.add(0, np.zeros(size, np.uint8))
    drawing.ready(size[0])
    yield from ()


_PATCHES: tuple[Patch, ...] = (("vp_jax.jobs.run._inpaint", _black),)


def _words(folder: Path, *more: str) -> list[str]:
    inputs = ("--video", str(folder / "in.mp4"), "--mask", str(folder / "mask.mkv"), "--checkpoint")
    embeds = str(folder / "text.npz")
    given = [embeds if word == "text.npz" else word for word in _GIVEN]
    return ["sample", *inputs, str(folder / "tiny"), *given, *more]


def kept_job(folder: Path) -> None:
    """A finished job of several windows, which are kept, and files of a user's beside it."""
    sampling(folder)
    with mock.patch(*_PATCHES[0]):
        run(_words(folder, "--out", str(folder / "out.mkv"), "--keep_job"))
    for name in PRECIOUS:
        (folder / name).write_text(f"precious {name}")


def _sign(path: Path, content: bytes, here: Path) -> None:
    """Write a manifest with the digest of what it says: as another program, or another version, might."""
    try:
        values = json.loads(content.decode("utf-8", "surrogatepass"))
        values.pop("digest", None)
        path.write_text(json.dumps({**values, "digest": of_json(values)}))
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        path.write_bytes(content)


def _at_home(folder: Path) -> None:
    """The paths of the kept job are those of this copy."""
    path = folder / MANIFEST
    values = json.loads(path.read_text())
    arguments = values["notes"]["arguments"]
    for name in ("video", "mask", "out", "prompt_embeds", "checkpoint"):
        arguments[name] = str(folder / Path(arguments[name]).name)
    _sign(path, json.dumps(values).encode(), folder)


def _guarded(folder: Path, call: Callable[[], object]) -> Callable[[], object]:
    """The call, after which the user's files are what they were."""

    def guarded() -> None:
        try:
            call()
        finally:
            for name in PRECIOUS:
                if (folder / name).read_text() != f"precious {name}":
                    raise Wrong(f"{name} was changed")

    return guarded


@door("job folder", kept_job, share=3)
def _job_folder(folder: Path, rng: Rng) -> Callable[[], object]:
    _at_home(folder)
    path, kind = folder / MANIFEST, rng.random()
    if kind < 0.5:
        _sign(path, damaged_json(path.read_bytes(), rng), folder)
    elif kind < 0.7:
        damage_file(path, rng)
    else:
        damage_one(folder, rng, pick(rng, ("out.job/*", "out.job/window_*", "out.json", "out.job/lock")))
    if rng.random() < 0.3:  # what was interrupted goes on
        (folder / "out.mkv").unlink(missing_ok=True)
        values = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if b'"finished": true' in values:
            _sign(path, values.replace(b'"finished": true', b'"finished": false'), folder)
    out = ("--out", "out.mkv")
    words: Sequence[str] = pick(
        rng,
        (
            _words(folder, *out),
            _words(folder, *out, "--seed", "7"),
            _words(folder, *out, "--fresh"),
            _words(folder, *out, "--no_keep_job"),
            _words(folder, *out, "--dry_run"),
            *[["sample", *out, "--redo_window", "2", "--seed", "7"]] * 4,
            ["sample", *out, "--redo_window", pick(rng, PLAIN_NUMBERS), "--seed", number(rng)],
            ["sample", *out, "--redo_window", "1", "--prompt", pick(rng, TEXTS)],
            ["sample", *out, "--redo_window", "2", "--seed", "7", "--dry_run"],
        ),
    )
    return _guarded(folder, _command(words, _PATCHES))


USUAL = {
    **{"quality": ("20",), "folder_fps": ("8",), "mask_fit": FITS, "hole_fill": FILLS, "overlap": ("1",)},
    **{"clip_weight": ("0",), "seed": ("7",), "start": ("1",), "stop": ("6",), "fps": ("4",), "feather": ("2",)},
    "preview": ("a.png", "b.png"),
}
"""Flags of a job, and values that they may have."""


def _value(name: str, rng: Rng) -> str:
    """A usual value two times of three, else an odd one."""
    usual = USUAL.get(name, ("text.npz",))
    if rng.random() < 0.6:
        return str(pick(rng, usual))
    names = ("in.png", "out_contact.png", "tiny", "mask.mkv", "x.PNG", "out.job/a.png", "jobs.csv")
    return number(rng) if usual[0].isdigit() else str(pick(rng, (*names, *TEXTS)))


@door("job numbers", kept_job, share=2)
def _job_numbers(folder: Path, rng: Rng) -> Callable[[], object]:
    _at_home(folder)
    names = [pick(rng, sorted(USUAL)) for _ in range(int(rng.integers(1, 4)))]
    if rng.random() < 0.05:
        names.append(pick(rng, ("prompts", "redo_window", "table")))
    flags = [f"--{name}={_value(name, rng)}" for name in names]
    flags += [pick(rng, ("--dry_run", "--fresh", "--keep_job", "--no_keep_job", "--verify", "--no_composite"))]
    out = pick(rng, ("new.mkv", "out.mkv", "new.mp4", "new", "new.gif", "new.webm", "out.job"))
    return _guarded(folder, _command(_words(folder, f"--out={out}", *flags), _PATCHES))


TABLE = ["sample", "--table", "jobs.csv", "--checkpoint", "tiny", "--compilation_cache", "off", "--window", "5"]


def table_of_jobs(folder: Path) -> None:
    """Two jobs in a table, one of them finished."""
    sampling(folder)
    rows = [["video", "mask", "prompt_embeds", "out", "seed", "keep_job", "quality"]]
    rows += [["in.mp4", "mask.mkv", "text.npz", f"{name}.mp4", "3", "no", "20"] for name in ("first", "second")]
    with (folder / "jobs.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with contextlib.chdir(folder), mock.patch(*_PATCHES[0]):
        run(TABLE)
    (folder / "second.mp4").unlink()
    for name in PRECIOUS:
        (folder / name).write_text(f"precious {name}")


@door("table of jobs", table_of_jobs, share=2)
def _table(folder: Path, rng: Rng) -> Callable[[], object]:
    path = folder / pick(rng, ("jobs.csv", "jobs.csv", "jobs.results.csv"))
    if rng.random() < 0.5:  # a cell
        lines = list(csv.reader(path.read_text().splitlines()))
        row = pick(rng, lines)
        row[int(rng.integers(len(row)))] = pick(rng, (*TEXTS, *NUMBERS, *PLAIN_NUMBERS, "first.mp4"))
        with path.open("w", newline="", errors="surrogateescape") as file:
            csv.writer(file).writerows(lines)
    elif rng.random() < 0.7:
        path.write_bytes(damaged_text(path.read_bytes(), rng))
    else:
        damage_file(path, rng)
    call = _guarded(folder, _command([*TABLE, *pick(rng, ((), (), ("--fresh",)))], _PATCHES))

    def run_table() -> None:
        call()
        with (folder / "jobs.results.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                if row["error"].startswith("unexpected"):
                    raise Wrong(f"row {row['row']}: {row['error']}")

    return run_table


PROMPTS: tuple[Any, ...] = (
    [{"from": "0:00", "to": "0:00.5", "prompt": "a red circle"}, {"from": 0.5, "prompt": "a blue square"}],
    [{"prompt": "a red circle", "to": "1"}, {"prompt": "a blue square"}],
    {"windows": ["a red circle", None, "a blue square"]},
)


def prompt_files(folder: Path) -> None:
    """Prompts by time and by window."""
    for index, values in enumerate(PROMPTS):
        (folder / f"{index}.json").write_text(json.dumps(values))


@door("prompts by time", prompt_files, share=1)
def _prompts(folder: Path, rng: Rng) -> Callable[[], object]:
    path = folder / f"{int(rng.integers(len(PROMPTS)))}.json"
    if rng.random() < 0.1:
        values = path.read_text().replace("red", pick(rng, ("\\ud800", "\\u0000", "\\u202e", "\\ud83d\\ude00")))
        path.write_text(values)
    else:
        damage_file(path, rng)
    general = pick(rng, ("a wall", None))
    video = Video(np.zeros((13, 8, 8, 3), np.uint8), Fraction(8))
    settings = Settings(window=5, overlap=1)

    def read() -> None:
        prompts = Prompts.read(path, general)
        for text in [*prompts.texts(plan_windows(13, settings), settings, video), *prompts.distinct()]:
            if not isinstance(text, str):
                raise Wrong(f"a prompt that is no text: {text!r}")
            text.encode()
        unread(prompts.distinct(), CheckpointFolder(NANO))

    return read
