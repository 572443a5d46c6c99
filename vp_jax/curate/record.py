"""What travels through the stages: a description of a clip, as JSON; and what a stage is.

A stage takes a description and gives descriptions: the same one with more in it, several pieces, or none. Files that it
makes lie in its place in the store and are named relative to the output folder, so that a run can be moved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from vp_jax import digests


@dataclass(frozen=True)
class ClipRecord:
    """A video, or a piece of one, and what is known about it.

    Attributes:
      name: of the clip, unique in a run.
      video: the file; a relative path is relative to the output folder.
      source: where the clip comes from, a path or an address.
      licence: of the source, as its collection states it; "" if it states none.
      sha256: digest of the source file.
      frames, height, width: of ``video``, in frames and pixels; 0 until it was collected.
      fps: exact frames per second, as a fraction.
      start, stop: frames of the source that ``video`` holds, half-open.
      hashes: perceptual hashes of key frames, 64 bits each, in hexadecimal.
      cuts: first frames of shots of ``video``, without frame 0.
      tags: words for what may be seen.
      boxes: proposals (thing, frame, x, y, width, height, score, words), in pixels of a frame.
      masks: label video of ``video``, a file of the store; 0 is background.
      things: statistics of every masked thing by its label, see `vp_jax.curate.statistics`.
      scores: numbers of the clip by name.
      captions: the dense caption under "", one of every masked thing under its label.
      models: what made it, by stage: model, version, and how.
    """

    name: str
    video: str
    source: str = ""
    licence: str = ""
    sha256: str = ""
    frames: int = 0
    height: int = 0
    width: int = 0
    fps: str = "0"
    start: int = 0
    stop: int = 0
    hashes: Sequence[str] = ()
    cuts: Sequence[int] = ()
    tags: Sequence[str] = ()
    boxes: Sequence[Sequence[Any]] = ()
    masks: str = ""
    things: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    captions: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.fps)

    @property
    def seconds(self) -> float:
        """Length of ``video``."""
        return float(self.frames / self.rate) if self.rate else 0.0

    def but(self, **changes: Any) -> ClipRecord:
        """The record with other values."""
        return dataclasses.replace(self, **changes)

    def made_by(self, stage: str, text: str) -> dict[str, str]:
        """``models`` with one line more."""
        return {**self.models, stage: text}


class Dropped(Exception):
    """A stage leaves a clip out. The message is the reason, in one line, with value and limit."""


class StagePlace(NamedTuple):
    """Where a stage works.

    Attributes:
      root: the output folder, which relative paths of records are relative to.
      folder: an empty folder for the files that the stage makes of this clip.
      name: what that folder is called in records, relative to ``root``.
    """

    root: Path
    folder: Path
    name: str

    def called(self, file: str) -> str:
        """A file of ``folder`` as a record names it."""
        return f"{self.name}/{file}"

    def path(self, file: str) -> Path:
        """A file that a record names; absolute paths stay."""
        return self.root / file


class CurationStage(Protocol):
    """One step of curation: a frozen dataclass, whose fields are its settings.

    Attributes:
      name: of the stage, and of its folder in the store.
      version: of its results; it changes whenever the same input gives something else.
    """

    name: ClassVar[str]
    version: ClassVar[int]

    def process(self, clip: ClipRecord, place: StagePlace) -> Sequence[ClipRecord]:
        """The records that a clip becomes.

        Raises:
          Dropped: the clip is left out.
          UserError: the clip cannot be used; the message says why.
        """
        ...


def settings_of(stage: CurationStage) -> dict[str, Any]:
    """Settings of a stage as JSON, with its name and version."""
    values = dataclasses.asdict(stage)  # type: ignore[call-overload]
    return {"stage": stage.name, "version": stage.version, **values}


def key_of(stage: CurationStage, clip: ClipRecord) -> str:
    """Digest of all that a result depends on: the record, and the stage with its own settings."""
    return digests.of_json([settings_of(stage), dataclasses.asdict(clip)])
