"""Reads the shards that `vpdata_tfds` builds, through ``tfds.data_source``: random access, no TensorFlow, no Beam."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vp_jax.data.records import BadRecord, ClipInfo, bad_record, unpack_masks
from vp_jax.errors import UserError
from vp_jax.media.video import read_frames


def builder_folder(folder: Path | str) -> Path:
    """The version folder of a TFDS data set at or below ``folder``. Raises `UserError` if there is not exactly one."""
    folder = Path(folder)
    found = sorted(file.parent for file in folder.glob("**/dataset_info.json")) if os.path.isdir(folder) else []
    if len(found) != 1:
        listed = ", ".join(str(path) for path in found) or "none"
        raise UserError(f"{folder} must hold one built data set (dataset_info.json), found {listed}")
    return found[0]


class ShardRecords:
    """The records of one split; every process that unpickles it opens the files again."""

    def __init__(self, folder: Path | str, split: str = "train"):
        self.folder, self.split = builder_folder(folder), split
        self._open()

    def _open(self) -> None:
        builder = tfds.builder_from_directory(self.folder)
        if self.split not in builder.info.splits:
            raise UserError(f"{self.folder} has no split {self.split!r}, only {', '.join(builder.info.splits)}")
        self._records = builder.as_data_source(self.split)

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
        except (ValueError, RuntimeError, KeyError) as error:
            raise BadRecord(f"record {index} of {self.folder.name} cannot be read: {error}") from error


@dataclass(frozen=True)
class StoredRecord:
    """Text fields that every shard stores about a clip."""

    fields: dict[str, Any]

    @property
    def id(self) -> str:
        """Name of the clip, unique in its source."""
        result: str = self.fields["id"].decode()
        return result

    @property
    def origin(self) -> str:
        """The source that it was stored from."""
        result: str = self.fields["origin"].decode()
        return result

    @property
    def caption(self) -> str:
        """Text of the clip."""
        result: str = self.fields["caption"].decode()
        return result


class StoredClip(StoredRecord):
    """A stored record as a `records.Clip`."""

    def open(self) -> ClipInfo:
        """Length and rate."""
        return ClipInfo(int(self.fields["shape"][0]), float(self.fields["fps"]))

    def read(self, indices_F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames uint8 FHWC and masks uint8 FHW of these frame numbers. Raises `BadRecord`."""
        masks_FHW = unpack_masks(self.fields["masks"], self.fields["shape"], indices_F)
        if not masks_FHW.any():
            raise BadRecord(f"the mask is empty in frames {indices_F[0]} to {indices_F[-1]}")
        with bad_record():
            return read_frames(self.fields["video"], np.asarray(indices_F) + int(self.fields["start"])), masks_FHW


class VPDataRecords(ShardRecords):
    """A `records.Source` over the shards of one split."""

    def __getitem__(self, index: int) -> StoredClip:
        return StoredClip(self.fields(index))
