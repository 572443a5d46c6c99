"""Doors for shards, as training reads them: damaged files, and intact files of records that hold odd values."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from tests.data.make_vpdata_layout import caption_of
from tests.data.shards.encoders import MeanEncoders
from tests.fuzz.data_doors import clips
from tests.fuzz.doors import Wrong, door
from tests.fuzz.mutations import JSON_VALUES, Rng, damage_one, damaged_bytes, pick
from vp_jax.data.batches import device_batch
from vp_jax.data.pipeline import LoaderConfig, make_loader
from vp_jax.data.shards.latent_records import LatentRecords, load_empty_text
from vp_jax.data.shards.latents import make_latent_loader
from vp_jax.data.shards.latents_tfds import LatentConfig, build_latents
from vp_jax.data.shards.vpdata_tfds import VpdataConfig, build
from vp_jax.data.sources.folders import video_folder
from vp_jax.data.sources.tfds_source import VPDataRecords, builder_folder
from vp_jax.data.sources.vpdata import Layout

LOADER = LoaderConfig(batch_size=1, frames=5, fps=29, height=32, width=48, threads=0)


def video_shards(folder: Path) -> None:
    """Two records of VPData."""
    (folder / "source").mkdir()
    clips(folder / "source")
    layout = Layout.under(folder / "source" / "vpdata")
    csvs = {"train": folder / "source" / "vpdata" / "rows.csv"}
    build(VpdataConfig(layout, csvs, frames=2, min_caption=len(caption_of("dog"))), folder / "shards")
    shutil.rmtree(folder / "source")


def latent_shards(folder: Path) -> None:
    """Two records of latents with two masks each, and the embedding of the empty caption."""
    (folder / "source").mkdir()
    clips(folder / "source")
    cfg = LatentConfig(LOADER, masks=2, images=1)
    build_latents(cfg, lambda: video_folder(folder / "source" / "clips"), MeanEncoders, folder / "shards")
    shutil.rmtree(folder / "source")


def _rewrite(shards: Path, rng: Rng, change: Callable[[dict[str, Any], Rng], None]) -> None:
    """Replace the records by changed ones, in an intact file: what another program might have written."""
    place = builder_folder(shards)
    builder = tfds.builder_from_directory(place)
    records = list(builder.as_data_source("train"))
    for record in records[: int(rng.integers(1, 3))]:
        change(record, rng)
    writer = ArrayRecordWriter(str(next(place.glob("*.array_record-*"))), "group_size:1")
    for record in records:
        written = builder.info.features.serialize_example(record)
        writer.write(damaged_bytes(written, rng) if rng.random() < 0.2 else written)
    writer.close()


def _change_clip(record: dict[str, Any], rng: Rng) -> None:
    name = pick(rng, sorted(record))
    if name == "shape":
        sizes = (0, -1, 1, 2, 2**31, 2**62, 8, 33, 48)
        record[name] = np.array([pick(rng, sizes) if rng.random() < 0.5 else size for size in record[name]], np.int64)
    elif name == "fps":
        record[name] = pick(rng, (0.0, -1.0, np.nan, np.inf, 1e-30, 1e30))
    elif name == "start":
        record[name] = pick(rng, (-1, 1, 7, 2**40, 2**62, -(2**62)))
    else:
        record[name] = pick(rng, (b"", b"\xff\xfe", b"\0", damaged_bytes(record[name], rng)))


def _change_latents(record: dict[str, Any], rng: Rng) -> None:
    name = pick(rng, (*sorted(record), *["arrays"] * 8))
    if name != "arrays" or rng.random() < 0.2:
        record[name] = pick(rng, (b"", b"\xff\xfe", damaged_bytes(record[name], rng)))
        return
    arrays = dict(np.load(io.BytesIO(record["arrays"])))
    name = pick(rng, sorted(arrays))
    array, odd = arrays.pop(name), int(rng.integers(11))
    changed: tuple[Callable[[], Any], ...] = (
        *(lambda: array * np.nan, lambda: array + np.inf, lambda: array.reshape(-1)[:0], lambda: array.reshape(-1)[:1]),
        *(lambda: array.astype(complex), lambda: np.zeros(()), lambda: array[None, ...], lambda: array.astype(str)),
        *(lambda: array.astype(np.int64) - 9, lambda: array * 0 - 1, lambda: array.astype(np.float64) * 1e300),
    )
    with np.errstate(all="ignore"):
        new = {} if rng.random() < 0.1 else {name if rng.random() < 0.95 else "other": changed[odd]()}
    file = io.BytesIO()
    np.savez(file, **{**arrays, **new})
    record["arrays"] = file.getvalue()


def _damage(shards: Path, rng: Rng, change: Callable[[dict[str, Any], Rng], None]) -> None:
    if rng.random() < 0.5:
        _rewrite(shards, rng, change)
        return
    file = pick(rng, ("dataset_info.json", "features.json", "*.array_record-*", "*"))
    damage_one(builder_folder(shards), rng, file)
    if rng.random() < 0.05:
        (shards / "dataset_info.json").write_text(json.dumps(pick(rng, JSON_VALUES)))


def _train_on(loader: Any) -> None:
    """Two batches, whose values must be finite and of the loader's size."""
    for _ in range(2):
        batch = device_batch(next(loader))
        for name, array in zip(batch._fields, batch):
            if array is not None and not np.isfinite(np.asarray(array, np.float32)).all():
                raise Wrong(f"{name} of a batch is not finite")
    jax.tree.map(np.asarray, batch)


@door("video shards", video_shards)
def _video_shards(folder: Path, rng: Rng) -> Callable[[], object]:
    _damage(folder / "shards", rng, _change_clip)
    return lambda: _train_on(make_loader(VPDataRecords(folder / "shards"), LOADER))


@door("latent shards", latent_shards)
def _latent_shards(folder: Path, rng: Rng) -> Callable[[], object]:
    _damage(folder / "shards", rng, _change_latents)

    def train() -> None:
        empty = load_empty_text(folder / "shards")
        _train_on(make_latent_loader(LatentRecords(folder / "shards"), LOADER, 0.7, empty_text_ME=empty))

    return train
