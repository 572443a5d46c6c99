"""Reading latent shards: training examples that VAE and T5 have encoded in advance (`latents_tfds` writes them).

A record belongs to one window of one clip. It holds mean and standard deviation of the VAE's posterior for the clean
video, for the masked video under each of k masks, and for the first frame at some noise levels, and the T5 embedding of
the caption if the shards were built with a text encoder. Each use picks a mask and samples new latents,
``scale * (mean + std * noise)``.

A folder may hold several data sets, as the parts that ``vp-jax latents --parts`` builds: they are read as one.

Clean-only shards (k = 0) have no masks: `make_latent_loader` then reads the clip as well, draws new masks, and returns
the masked video in pixels, which the training step encodes.
"""

from __future__ import annotations

import bisect
import contextlib
import io
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.data.clips import (
    AugmentMasks,
    ClipTransform,
    CoverCells,
    Example,
    Resize,
    SelectKeys,
    ShowFirstFrame,
    Tokenize,
    to_model_range,
)
from vp_jax.data.pipeline import ATTEMPTS, Loader, LoaderConfig, compose
from vp_jax.data.records import BadRecord, Source, bad_record
from vp_jax.data.sources.tfds_source import ShardRecords, StoredRecord, builder_folder, builder_folders
from vp_jax.errors import UserError
from vp_jax.media.arrays import read_array, read_arrays
from vp_jax.reading import read_json, show
from vp_jax.shapes import latent_grid

EMPTY_TEXT = "empty_text.npy"
"""File of the embedding of the empty caption, in the folder of the shards."""

MADE_WITH = "made_with.json"
"""File with what the shards were made of and with, in their folder; shards of earlier versions have none."""

POSTERIORS = ("clean", "masked", "image")
"""What the VAE has encoded: clean video (T, h, w, C), under each mask (k, T, h, w, C), first frames (n, 1, h, w, C)."""

IMAGE_OF = "image_of"
"""Number of the mask that each first frame belongs to; absent where first frames have no hole."""

LATENT_KEYS = (
    "latents",
    "masked_latents",
    "mask",
    "text",
    "input_ids",
    "image_latents",
    "pixels",
    "masks",
    "caption",
    "id",
    "note",
    "unread",
)
"""Keys of an example that go into a batch."""


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
    places = builder_folders(folder)
    if len(places) < 2 and not any(_parts(folder, place) for place in places):
        return [builder_folder(folder)]
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


@dataclass(frozen=True)
class SampleLatents:
    """Sample ``latents``, ``image_latents``, ``masked_latents`` (T, h, w, C) and ``mask``, and add ``text`` (M, E).

    Attributes:
      scale: scaling factor of the VAE.
      image_dropout: probability of zeros instead of the first frame in ``image_latents``; later frames are always zero.
      empty_caption: probability of an empty caption.
      empty_text_ME: embedding of the empty caption, which replaces the text together with the caption.
      text: whether the shards hold embeddings.
      shapes: of the arrays of every record, by name; another shape is a `BadRecord`. Empty: any.

    Raises:
      UserError: empty captions without their embedding.
    """

    scale: float
    image_dropout: float = 0.05
    empty_caption: float = 0.0
    empty_text_ME: np.ndarray | None = None
    text: bool = True
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.text and self.empty_caption and self.empty_text_ME is None:
            raise UserError("empty_caption above 0 needs the embedding of the empty caption, see load_empty_text")

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add the arrays, and caption, frame numbers and id."""
        clip: LatentClip = example["clip"]
        stored = clip.arrays()
        if odd := [name for name, shape in self.shapes.items() if name not in stored or stored[name].shape != shape]:
            raise BadRecord(f"stored {', '.join(odd)}: other shapes than in the first record")
        latents_ThwC = self._sample(stored, "clean", (), rng)
        pick, images = None, np.arange(len(stored["image_mean"]))
        if IMAGE_OF in stored:
            pick = int(rng.integers(len(stored["mask"])))
            images = np.flatnonzero(stored[IMAGE_OF] == pick)
        image = self._sample(stored, "image", (int(images[rng.integers(len(images))]),), rng)
        image_latents = np.zeros_like(latents_ThwC)
        if rng.random() >= self.image_dropout:
            image_latents[:1] = image
        dropped = rng.random() < self.empty_caption
        out = {
            "latents": latents_ThwC,
            "image_latents": image_latents,
            "caption": "" if dropped else clip.caption,
            "indices": stored["indices"],
            "id": clip.id,
        }
        if self.text:
            out["text"] = self.empty_text_ME if dropped else stored["text"].astype(np.float32)
        if len(stored["mask"]):
            pick = int(rng.integers(len(stored["mask"]))) if pick is None else pick
            out["masked_latents"] = self._sample(stored, "masked", (pick,), rng)
            out["mask"] = stored["mask"][pick].astype(np.float32)
        return {**example, **out}

    def _sample(
        self, stored: dict[str, np.ndarray], name: str, at: tuple[int, ...], rng: np.random.Generator
    ) -> np.ndarray:
        mean, std = stored[f"{name}_mean"][at], stored[f"{name}_std"][at]
        noise = rng.standard_normal(mean.shape, dtype=np.float32)
        result: np.ndarray = np.float32(self.scale) * (mean.astype(np.float32) + std.astype(np.float32) * noise)
        return result


@dataclass(frozen=True)
class ReadStoredWindow:
    """Reads pixels and masks of a stored window from the source of the shards; ``numbers`` are those of its clips."""

    source: Source
    numbers: Mapping[str, int]

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add frames FHWC and masks FHW."""
        clip_id = example["clip"].clip_id
        if clip_id not in self.numbers:
            raise BadRecord(f"{clip_id} is not in the source that belongs to the shards")
        frames_FHWC, masks_FHW = self.source[self.numbers[clip_id]].read(example["indices"])
        return {**example, "pixels": frames_FHWC, "masks": masks_FHW}


def make_latent_loader(
    shards: LatentRecords,
    cfg: LoaderConfig,
    scale: float,
    process_index: int = 0,
    process_count: int = 1,
    source: Source | None = None,
    empty_text_ME: np.ndarray | None = None,
    tokenizer: Callable[[str], np.ndarray] | None = None,
    masked: bool = True,
) -> Loader:
    """Like `pipeline.make_loader`, over latent shards.

    Batches hold ``latents``, ``masked_latents`` and ``image_latents`` (B, T, h, w, C), ``mask`` (B, T, h, w), all
    float32, ``caption`` and ``id``; ``text`` (B, M, E) if the shards hold embeddings, ``input_ids`` (B, M) int32 if
    there is a tokenizer. With ``source``, for clean-only shards, ``masked_BFHWC`` float32 [-1, 1] and ``masks_BFHW``
    replace ``masked_latents`` and ``mask``. `batches.device_batch` selects what the devices need.

    Args:
      shards: records.
      cfg: settings; frames, height and width are those of the shards.
      scale: scaling factor of the VAE.
      process_index: number of this process.
      process_count: number of processes.
      source: the source of clean-only shards.
      empty_text_ME: embedding of the empty caption, for ``cfg.empty_caption`` above 0.
      tokenizer: token ids (M,) of a caption.
      masked: whether masked video is needed; without it, clean-only shards need no source.

    Raises:
      UserError: shards of another size, or a source that is missing or superfluous.
    """
    first = _first_readable(shards)
    size = cfg.frames, cfg.height, cfg.width
    got, want = first["clean_mean"].shape[:3], latent_grid(*size)
    if got != want:
        raise UserError(
            f"{shards.folder} holds latents of {got} frames, rows and columns; the settings frames, height and width "
            f"{size} are {want}: change these settings, or build the shards again"
        )
    text, drawn = "text" in first, bool(len(first["mask"]))
    if text and empty_text_ME is not None and empty_text_ME.shape != first["text"].shape:
        raise UserError(
            f"{shards.folder}: the empty caption is embedded as {empty_text_ME.shape}, the others as "
            f"{first['text'].shape}: build the shards again"
        )
    shapes = {name: array.shape for name, array in first.items()}
    sample = SampleLatents(scale, cfg.image_dropout, cfg.empty_caption, empty_text_ME, text, shapes)
    steps: list[ClipTransform] = [sample]
    if tokenizer:
        steps.append(Tokenize.by(tokenizer))
    if source is None and masked and not drawn:
        raise UserError(f"{shards.folder} holds clean latents only: pass the source of the shards as well")
    if source is not None and drawn:
        raise UserError(f"{shards.folder} holds pre-drawn masks already: leave the source out")
    if source is not None:
        steps += [ReadStoredWindow(source, _numbers(source)), AugmentMasks(cfg.augment)]
        steps += [Resize(cfg.height, cfg.width, cfg.resize)] + ([ShowFirstFrame()] if cfg.show_first_frame else [])
        steps += [CoverCells()] if cfg.cover_cells else []
    steps.append(SelectKeys(LATENT_KEYS))
    return Loader(compose(shards, steps, cfg, process_index, process_count), cfg, mask_pixels)


def _numbers(source: Source) -> dict[str, int]:
    """Numbers of a source's clips by their names, without those whose name cannot be read."""
    numbers: dict[str, int] = {}
    for number in range(len(source)):
        with contextlib.suppress(BadRecord):
            numbers[source[number].id] = number
    return numbers


def _first_readable(shards: LatentRecords) -> dict[str, np.ndarray]:
    """Arrays of the first record that is not damaged; those of all records have the same names and shapes."""
    reason = "it has no records"
    for index in range(min(len(shards), ATTEMPTS)):
        try:
            return shards[index].arrays()
        except BadRecord as error:
            reason = str(error)
    raise UserError(f"{shards.folder} cannot be used, {reason}: build the shards again")


def mask_pixels(batch: Example) -> Example:
    """Convert pixels and masks, if there are any, to ``masked_BFHWC`` and ``masks_BFHW``, float32."""
    if "pixels" not in batch:
        return batch
    batch = to_model_range(batch)
    del batch["pixels_BFHWC"]
    return batch


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
