"""What a job's folder says of itself: inputs, settings, seeds and prompts, and the key of every window that follows.

    OUT.job/manifest.json
      facts      what all windows depend on: settings, digests of frames, holes and weights, versions
      windows    seed and prompt of each
      notes      for people and for `vp_jax.jobs.redo`: arguments, paths, all versions; never compared
      finished   the result was written

The key of a window is a digest of the facts, of its own seed and prompt and, where windows continue one another and no
scene cut lies between them, of the key of the window before it. Each stored window carries its key, so a window whose
seed changes invalidates itself and what depends on it, and nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vp_jax.digests import Damaged, of_json
from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.reading import read_json, show
from vp_jax.schema import check_number

MANIFEST = "manifest.json"
_FORMAT = 2
_CONTENTS = {
    "video": "the frames of the video differ",
    "mask": "the holes differ",
    "weights": "the weights differ",
    "networks": "precision, attention or adapters differ",
}
"""Facts that are digests, in words."""


class ChosenWindow(NamedTuple):
    """What one window has for itself.

    Attributes:
      seed: of its noise.
      prompt: its words, "" where embeddings were given.
      text: digest of its embeddings.
    """

    seed: int
    prompt: str
    text: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Everything that the windows of a job depend on.

    Attributes:
      facts: JSON values that hold for all windows.
      windows: each window's own.
      chained: a window reads what the one before it left.
      notes: JSON values that nothing depends on.
      finished: the result was written.
      fresh: numbers of the windows that begin a shot, which read nothing of the one before them.
    """

    facts: Mapping[str, Any]
    windows: tuple[ChosenWindow, ...]
    chained: bool = True
    notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    finished: bool = False
    fresh: tuple[int, ...] = (0,)

    def reads(self, number: int) -> bool:
        """Whether a window reads what the one before it left."""
        return self.chained and number not in self.fresh

    @property
    def keys(self) -> tuple[str, ...]:
        """Key of each window."""
        made: list[str] = []
        base = of_json(self.facts)
        for number, window in enumerate(self.windows):
            before = made[-1] if made and self.reads(number) else base
            made.append(of_json([before, base, number, window.seed, window.text]))
        return tuple(made)

    def with_window(self, number: int, window: ChosenWindow) -> Manifest:
        """The same job with another window ``number``, from 0."""
        return dataclasses.replace(self, windows=(*self.windows[:number], window, *self.windows[number + 1 :]))

    def differences(self, other: Manifest, place: str) -> list[str]:
        """What differs from ``other``, which lies in ``place``, in words; facts first."""
        found = fact_differences(self.facts, other.facts, place)
        if len(self.windows) != len(other.windows):
            return found or [f"{len(self.windows)} windows here, {len(other.windows)} in {place}"]
        return found + _window_differences(self.windows, other.windows, place)

    def write(self, folder: Path) -> None:
        """Write `MANIFEST` in ``folder``.

        Raises:
          UserError: it cannot be written.
        """
        values = dataclasses.asdict(self) | {"format": _FORMAT, "windows": [w._asdict() for w in self.windows]}
        values = json.loads(json.dumps(values, default=str))
        write_text(folder / MANIFEST, json.dumps({**values, "digest": of_json(values)}, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest | None:
        """What `write` wrote in ``folder``; ``None`` if there is no such file.

        Raises:
          Damaged: it is not what was written.
        """
        path = folder / MANIFEST
        if not path.exists():
            return None
        try:
            values = read_json(path, "the manifest of a job")
            if values.pop("digest", None) != of_json(values) or values.pop("format") != _FORMAT:
                raise Damaged(f"{show(path)} is not what was written")
            values["windows"] = tuple(ChosenWindow(**window) for window in values["windows"])
            values["fresh"] = tuple(values["fresh"])
            read = cls(**values)
            _check_types(read, show(path))
            return read
        except (UserError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(" ".join(str(error).split())[:200]) from error


def _check_types(read: Manifest, name: str) -> None:
    """Raises:
    Damaged: a value is not of the type that is written, though the digest is right: another program wrote it.
    """
    groups = isinstance(read.facts, dict) and isinstance(read.notes, dict)
    flags = isinstance(read.chained, bool) and isinstance(read.finished, bool)
    windows = all(
        type(window.seed) is int and isinstance(window.prompt, str) and isinstance(window.text, str)
        for window in read.windows
    ) and all(type(number) is int for number in read.fresh)
    if not (groups and flags and windows):
        raise Damaged(f"{name} holds values that no run writes")
    for window in read.windows:
        check_number("seed", window.seed)


def fact_differences(here: Mapping[str, Any], there: Mapping[str, Any], place: str) -> list[str]:
    """Facts of ``here`` that are others in ``there``, in words."""
    found = []
    for name, value in json.loads(json.dumps(dict(here))).items():
        if name in there and there[name] == value:
            continue
        if name == "video" and here.get("mask") != there.get("mask"):
            continue  # holes are black in what the model reads: other holes, other frames
        found.append(_CONTENTS.get(name) or f"{name} {value} here, {there.get(name)} in {place}")
    return found


def _window_differences(here: Sequence[ChosenWindow], there: Sequence[ChosenWindow], place: str) -> list[str]:
    found = []
    for name in ("seed", "prompt"):
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in zip(here, there)]
        changed = [number for number, (a, b) in enumerate(pairs, 1) if a != b]
        if not changed:
            continue
        a, b = (show(repr(value) if name == "prompt" else value) for value in pairs[changed[0] - 1])
        where = "" if len(set(pairs)) == 1 else f" of window {changed[0]}"
        found.append(f"{name}{where} {a} here, {b} in {place}")
    if not found and any(a.text != b.text for a, b in zip(here, there)):
        found.append("the embeddings of the prompts differ")
    return found


def refuse(differences: Sequence[str], *, redo: bool = False) -> None:
    """Refuse a job that differs from what its folder holds; ``redo``: from what one of its windows is redone in.

    Raises:
      UserError: there are differences.
    """
    advice = "remove the folder or give `fresh`"
    if redo:
        advice = "a redo changes the seed and the prompt of one window only, leave the rest as it was"
    if differences:
        raise UserError(f"{', '.join(differences)}: {advice}")


def content(arrays: Iterable[np.ndarray]) -> str:
    """SHA-256 of arrays with their types and shapes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
