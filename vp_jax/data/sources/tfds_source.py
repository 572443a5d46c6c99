"""Reads the shards that `vpdata_tfds` builds, through ``tfds.data_source``: random access, no TensorFlow, no Beam."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow_datasets as tfds

from vp_jax.data.records import BadRecord, ClipInfo, bad_record, unpack_masks
from vp_jax.errors import UserError
from vp_jax.media.video import read_frames
from vp_jax.reading import check_tree, read_json, show

T = TypeVar("T", int, float)

_FEATURES = "tensorflow_datasets.core.features."
"""Where TFDS keeps the classes that features.json names; it would import a module of any other name."""


def builder_folders(folder: Path | str) -> list[Path]:
    """The version folders of all TFDS data sets at or below ``folder``, by their paths; hidden folders are no part."""
    folder = Path(folder)
    found = folder.glob("**/dataset_info.json") if os.path.isdir(folder) else ()
    return sorted(
        file.parent for file in found if not any(name.startswith(".") for name in file.relative_to(folder).parts)
    )


def builder_folder(folder: Path | str) -> Path:
    """The version folder of a TFDS data set at or below ``folder``. Raises `UserError` if there is not exactly one."""
    found = builder_folders(folder)
    if len(found) != 1:
        listed = ", ".join(show(path) for path in found) or "none"
        raise UserError(f"{show(folder)} must hold one built data set (dataset_info.json), found {listed}")
    return found[0]


class ShardRecords:
    """The records of one split; every process that unpickles it opens the files again.

    Raises:
      UserError: no built data set, one whose description is damaged, or no such split.
    """

    def __init__(self, folder: Path | str, split: str = "train"):
        self.folder, self.split = builder_folder(folder), split
        self._open()

    def _open(self) -> None:
        check_tree(self.folder)
        _check_features(self.folder / "features.json")
        try:
            builder = tfds.builder_from_directory(self.folder)
            splits = [*builder.info.splits]
            self._records: Any = builder.as_data_source(self.split) if self.split in splits else None
        except Exception as error:  # of TFDS, protobuf and ArrayRecord, which raise many kinds
            raise UserError(f"{show(self.folder)} is damaged ({_reason(error)}): build the shards again") from error
        if self._records is None:
            raise UserError(f"{show(self.folder)} has no split {self.split!r}, only {', '.join(map(show, splits))}")

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "split": self.split}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return len(self._records)

    def fields(self, index: int) -> dict[str, Any]:
        """The stored fields of a record. Raises `BadRecord` for a damaged record, `IndexError` past the end."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        try:
            result: dict[str, Any] = self._records[index]
            return result
        except Exception as error:  # of TFDS, protobuf and ArrayRecord, which raise many kinds
            raise BadRecord(f"record {index} of {self.folder.name} cannot be read: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return show(" ".join(f"{type(error).__name__} {error}".split()))


def _check_features(file: Path) -> None:
    """Refuse a description that names classes of other packages, which reading it would import."""
    waiting: list[Any] = [read_json(file, "the features of built shards")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if not str(value.get("pythonClassName", _FEATURES)).startswith(_FEATURES):
                raise UserError(f"{show(file)}: names classes outside of {_FEATURES[:-1]}: build the shards again")
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


@dataclass(frozen=True)
class StoredRecord:
    """Text fields that every shard stores about a clip. Reading one raises `BadRecord` if it is not text."""

    fields: dict[str, Any]

    @property
    def id(self) -> str:
        """Name of the clip, unique in its source."""
        return self._text("id")

    @property
    def origin(self) -> str:
        """The source that it was stored from."""
        return self._text("origin")

    @property
    def caption(self) -> str:
        """Text of the clip."""
        return self._text("caption")

    def _text(self, name: str) -> str:
        try:
            return str(self.fields[name].decode())
        except (KeyError, AttributeError, UnicodeDecodeError) as error:
            raise BadRecord(f"stored {name} is no text in UTF-8") from error


class StoredClip(StoredRecord):
    """A stored record as a `records.Clip`."""

    def open(self) -> ClipInfo:
        """Length and rate. Raises `BadRecord`."""
        fps = self._number("fps", float)
        if not 0 < fps < math.inf:
            raise BadRecord(f"stored fps {fps}: expected a finite number above 0")
        return ClipInfo(self._shape()[0], fps)

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 FHWC and masks uint8 FHW of these frame numbers. Raises `BadRecord`."""
        start = self._number("start", int)
        if not 0 <= start < 2**31:
            raise BadRecord(f"stored start {start}: expected the number of a frame")
        masks_FHW = unpack_masks(self.fields.get("masks"), self._shape(), indices_F)
        if not masks_FHW.any():
            raise BadRecord(f"the mask is empty in frames {indices_F[0]} to {indices_F[-1]}")
        video = self.fields.get("video")
        if not isinstance(video, bytes):
            raise BadRecord("no video is stored")
        with bad_record():
            return read_frames(video, np.asarray(indices_F) + start), masks_FHW

    def _shape(self) -> tuple[int, ...]:
        shape = np.asarray(self.fields.get("shape"))
        if shape.shape != (3,) or shape.dtype.kind not in "iu" or not ((shape > 0) & (shape < 2**31)).all():
            raise BadRecord(f"stored shape {shape.tolist()}: expected frames, rows and columns")
        return tuple(map(int, shape))

    def _number(self, name: str, kind: Callable[[Any], T]) -> T:
        try:
            return kind(self.fields[name])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadRecord(f"stored {name} is no number") from error


class VPDataRecords(ShardRecords):
    """A `records.Source` over the shards of one split."""

    def __getitem__(self, index: int) -> StoredClip:
        return StoredClip(self.fields(index))
