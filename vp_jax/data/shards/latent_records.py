"""Records of latent shards: what `latents_tfds` writes and `latents` samples from.

A record belongs to one window of one clip. It holds mean and standard deviation of the VAE's posterior for the clean
video, for the masked video under each of k masks, and for the first frame at some noise levels, and the T5 embedding of
the caption if the shards were built with a text encoder. A folder may hold several data sets, as the parts that
``vp-jax latents --parts`` builds: they are read as one.
"""

from __future__ import annotations

import bisect
import io
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.data.records import BadRecord, bad_record
from vp_jax.data.sources.tfds_source import ShardRecords, StoredRecord, builder_folder, builder_folders
from vp_jax.errors import UserError
from vp_jax.media.arrays import read_array, read_arrays
from vp_jax.reading import read_json, show

EMPTY_TEXT = "empty_text.npy"
"""File of the embedding of the empty caption, in the folder of the shards."""

MADE_WITH = "made_with.json"
"""File with what the shards were made of and with, in their folder; shards of earlier versions have none."""

POSTERIORS = ("clean", "masked", "image")
"""What the VAE has encoded: clean video (T, h, w, C), under each mask (k, T, h, w, C), first frames (n, 1, h, w, C)."""

IMAGE_OF = "image_of"
"""Number of the mask that each first frame belongs to; absent where first frames have no hole."""


def pack_arrays(arrays: Mapping[str, Any]) -> bytes:
    """Pack named arrays as uncompressed npz bytes, floats as float16.

    Raises:
      BadRecord: values that float16 cannot hold.
    """
    with np.errstate(over="ignore"):
        stored = {name: x.astype(np.float16) if x.dtype.kind == "f" else x for name, x in arrays.items()}
    broken = [name for name, x in stored.items() if x.dtype.kind == "f" and not np.isfinite(x).all()]
    if broken:
        raise BadRecord(f"{', '.join(broken)} have values that are not finite in float16")
    file = io.BytesIO()
    np.savez(file, **stored)
    return file.getvalue()


class LatentRecords:
    """Latent shards of one split, as a sequence of `LatentClip`s: all data sets at or below a folder.

    Attributes:
      folder: the folder as it was given.

    Raises:
      UserError: no data set, parts that are missing, or sets of two VAEs; and what `ShardRecords` raises.
    """

    def __init__(self, folder: Path | str, split: str = "train"):
        self.folder = Path(folder)
        self._sets = [ShardRecords(place, split) for place in latent_folders(self.folder)]
        self._ends = list(itertools.accumulate(map(len, self._sets)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> LatentClip:
        if not 0 <= index < len(self):
            raise IndexError(index)
        at = bisect.bisect_right(self._ends, index)
        return LatentClip(self._sets[at].fields(index - self._ends[at] + len(self._sets[at])))


def part_name(number: int, parts: int) -> str:
    """Folder of one part of data that are built in ``parts`` parts; the first has number 0."""
    return f"part-{number:05d}-of-{parts:05d}"


def latent_folders(folder: Path) -> list[Path]:
    """The version folders of the data sets at or below ``folder``, all parts of those that have parts.

    Raises:
      UserError: none, parts that are missing, or sets of two VAEs.
    """
    places = builder_folders(folder) or [builder_folder(folder)]  # which refuses a folder without one
    found: dict[tuple[Path, int], set[int]] = {}
    for place in places:
        if part := _parts(folder, place):
            found.setdefault(part[:2], set()).add(part[2])
    for (whole, parts), numbers in found.items():
        if missing := sorted({*range(parts)} - numbers):
            raise UserError(
                f"{show(whole)} has {len(numbers)} of {parts} parts, part {missing[0]} is missing: run the same "
                f"`vp-jax latents` again, it builds the rest"
            )
    if len(places) > 1:
        _check_same_vae(places)
    return places


def _parts(folder: Path, place: Path) -> tuple[Path, int, int] | None:
    """Folder of all parts, their count, and the number of the one that ``place`` belongs to, if it is below one."""
    inner = place.relative_to(folder).parts
    for depth, name in enumerate(inner):
        if match := re.fullmatch(r"part-(\d{5})-of-(\d{5})", name):
            return folder.joinpath(*inner[:depth]), int(match[2]), int(match[1])
    return None


def _check_same_vae(places: Sequence[Path]) -> None:
    files = [file for place in places if os.path.lexists(file := place / MADE_WITH)]
    made = [read_json(file, "what shards were made with").get("vae") for file in files]
    for file, vae in zip(files, made):
        if vae != made[0]:
            raise UserError(
                f"{show(files[0].parent)} and {show(file.parent)} are latents of two VAEs: train on one of them"
            )


class LatentClip(StoredRecord):
    """One stored window of a clip."""

    @property
    def clip_id(self) -> str:
        """Name of its clip in the source of the shards."""
        result: str = self.fields["clip_id"].decode()
        return result

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays as they are stored: mean and deviation of `POSTERIORS`, ``mask``, ``indices``, perhaps ``text``.

        Raises:
          BadRecord: damaged bytes, arrays that are missing or do not fit each other, or numbers that are not finite.
        """
        packed = self.fields.get("arrays")
        if not isinstance(packed, bytes):
            raise BadRecord("no arrays are stored")
        with bad_record():
            arrays = read_arrays(packed)
        _check_arrays(arrays)
        return arrays


def _check_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    names = [f"{name}_{moment}" for name in POSTERIORS for moment in ("mean", "std")] + ["mask", "indices"]
    if missing := [name for name in names if name not in arrays]:
        raise BadRecord(f"stored arrays lack {', '.join(missing)}")
    shapes = {name: array.shape for name, array in arrays.items()}
    time, *cell = shapes["clean_mean"] if len(shapes["clean_mean"]) == 4 else (0,)
    masks, images = shapes["masked_mean"][:1], shapes["image_mean"][:1]
    wanted = {"clean": (time, *cell), "masked": (*masks, time, *cell), "image": (*images, 1, *cell)}
    fits = all(shapes[f"{name}_{moment}"] == shape for name, shape in wanted.items() for moment in ("mean", "std"))
    fits = fits and images > (0,) and shapes["mask"] == (*masks, time, *cell[:-1]) and len(shapes["indices"]) == 1
    if not fits or len(shapes.get("text", (0, 0))) != 2:
        raise BadRecord(f"stored arrays do not fit each other: {', '.join(f'{n} {s}' for n, s in shapes.items())}")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not (np.abs(array) <= np.finfo(np.float16).max).all():
            raise BadRecord(f"stored {name} is not finite in float16")
        least = 0 if name in ("mask", "indices") or name.endswith("_std") else None
        if least is not None and array.size and array.min() < least:
            raise BadRecord(f"stored {name} is negative")
    owners = arrays.get(IMAGE_OF)
    if owners is not None and not (owners.shape == images and set(owners.tolist()) == set(range(*masks))):
        raise BadRecord("stored first frames do not belong to the masks")
    if arrays["indices"].dtype.kind not in "iu" or (arrays["mask"].size and arrays["mask"].max() > 1):
        raise BadRecord("stored mask or indices hold other values than masks and frame numbers")


def load_empty_text(folder: Path | str) -> np.ndarray | None:
    """Embedding (M, E) float32 of the empty caption, which `latents_tfds.build_latents` writes with the shards.

    ``None`` for shards without embeddings.

    Raises:
      UserError: the file cannot be read, or holds something else.
    """
    file = latent_folders(Path(folder))[0] / EMPTY_TEXT
    if not os.path.lexists(file):
        return None
    text_ME = read_array(file, kinds="f").astype(np.float32)
    if text_ME.ndim != 2 or not np.isfinite(text_ME).all():
        raise UserError(f"{show(file)}: expected finite numbers of shape (M, E), got {text_ME.shape}")
    return text_ME
