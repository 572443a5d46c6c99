"""From the data settings of a run to batches on the devices.

kind        what ``path`` is
vpdata      shards built by `vp_jax.data.shards.vpdata_tfds`
csv         a folder, ``csv`` a table of it: of VPData, or of files (video, mask, caption), by its columns
folder      videos with masks and captions beside them
davis       DAVIS as VPBench ships it
latents     shards built by `vp_jax.data.shards.latents_tfds`; clean-only ones need ``clips``, the shards they come from
synthetic   nothing: scenes of `vp_jax.world.synthetic`, drawn when they are read
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vp_jax import sharding
from vp_jax.data.batches import LatentBatch, PixelBatch, device_batch
from vp_jax.data.journal import Journal
from vp_jax.data.pipeline import Loader, LoaderConfig, make_loader
from vp_jax.data.records import Source
from vp_jax.data.shards.latent_records import LatentRecords, load_empty_text
from vp_jax.data.shards.latents import make_latent_loader
from vp_jax.data.sources.clip_table import open_csv
from vp_jax.data.sources.folders import davis, video_folder
from vp_jax.data.sources.tfds_source import VPDataRecords
from vp_jax.errors import UserError, check_numbers
from vp_jax.models.tokenizer import Tokenizer
from vp_jax.runs.data_report import report_on_data
from vp_jax.training.models import TrainingModels
from vp_jax.world.looks import DEFAULT_LOOK, check_look
from vp_jax.world.synthetic import WordIds, World

DATA_KINDS = ("vpdata", "csv", "folder", "davis", "latents", "synthetic")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where training examples come from, see the module.

    Attributes:
      kind, path, csv, split, clips: see the module; ``split`` is of shards.
      min_caption: characters that a caption of the official layout must have.
      synthetic_clips, synthetic_first: number of clips, the seed of the first one (>= 0).
      synthetic_absent: how often the thing under the mask is neither in the picture nor in the caption, 0 to 1.
      synthetic_look: name of the drawn world's look, one of `vp_jax.world.looks.LOOKS`.
    """

    kind: str = "vpdata"
    path: str = ""
    csv: str = ""
    split: str = "train"
    clips: str = ""
    min_caption: int = 50
    synthetic_clips: int = 64
    synthetic_first: int = 0
    synthetic_absent: float = 0.2
    synthetic_look: str = DEFAULT_LOOK

    def __post_init__(self) -> None:
        if self.kind not in DATA_KINDS:
            raise UserError(f"data.kind {self.kind!r}: expected one of {', '.join(DATA_KINDS)}")
        if self.kind not in ("synthetic", "csv") and not self.path:
            raise UserError(f"data.kind {self.kind} needs a folder: give data.path")
        if self.kind == "csv" and not self.csv:
            raise UserError("data.kind csv needs the file of rows: give data.csv")
        check_numbers(self, "min_caption synthetic_first", group="data.")
        check_numbers(self, "synthetic_clips", 1, group="data.")
        check_numbers(self, "synthetic_absent", 0, 1, group="data.")
        check_look(self.synthetic_look, "data.synthetic_look")


@dataclasses.dataclass(frozen=True)
class CaptionIds:
    """Token ids (M,) of a caption; the tokenizer is opened again in every process that this travels to."""

    file: Path
    length: int

    def __call__(self, caption: str) -> np.ndarray:
        """Token ids (M,) int32 of a caption."""
        ids_M: np.ndarray = _tokenizer(self.file).encode([caption], self.length)[0]
        return ids_M

    def unused(self, caption: str) -> str:
        """What of a caption the model does not read, "" if nothing."""
        return str(_tokenizer(self.file).unused(caption, self.length) or "")


_tokenizer = functools.lru_cache(maxsize=1)(Tokenizer)


def caption_ids(models: TrainingModels) -> Callable[[str], np.ndarray]:
    """Tokenizer of a run's captions; without a text encoder, numbers of words.

    Raises:
      UserError: a text encoder without a vocabulary.
    """
    if not models.reads_captions:
        return WordIds(models.text_len)
    if models.vocabulary is None:
        raise UserError(
            f"the {models.stage.kind} stage needs a vocabulary: give a model.checkpoint with a tokenizer or, for the "
            f"backbone stage, a model.tokenizer made by `vp-jax vocabulary FILE`"
        )
    return CaptionIds(models.vocabulary, models.text_len)


def open_source(data: DataConfig, loader: LoaderConfig, *, needs_masks: bool = True) -> Source:
    """Open any source except latent shards; ``needs_masks``: of a folder, videos without a mask are left out.

    Raises:
      UserError: files that are not there or not what they should be.
    """
    if data.kind == "vpdata":
        return VPDataRecords(data.path, data.split)
    if data.kind == "csv":
        return open_csv(data.csv, data.path, frames=loader.frames, fps=loader.fps, min_caption=data.min_caption)
    if data.kind == "synthetic":
        return World(
            data.synthetic_clips,
            2 * loader.frames,
            loader.height,
            loader.width,
            data.synthetic_first,
            data.synthetic_absent,
            data.synthetic_look,
        )
    if data.kind == "folder":
        return video_folder(data.path, loader.fps, loader.frames, needs_masks=needs_masks)
    return davis(data.path, loader.fps, loader.frames)


def announce(source: Source, journal: Path | str | None) -> None:
    """Print what the scan of a folder or table found, and write to ``journal`` what cannot be used."""
    report = getattr(source, "report", None)
    if report is not None:
        Journal(journal).scanned(report)
        print(f"data     {report.summary}" + (f"; named in {journal}" if journal else ""), flush=True)


def open_loader(
    data: DataConfig, loader: LoaderConfig, models: TrainingModels, mesh: Mesh, report: Path | None = None
) -> Loader:
    """The loader of a run; it gives this host's share of every batch.

    Args:
      data: where examples come from.
      loader: settings.
      models: of the run.
      mesh: its devices.
      report: folder of a run that has no report on its data yet, see `vp_jax.runs.data_report`; latent shards get none.

    Raises:
      UserError: data that are missing or do not fit the models or the mesh.
    """
    stage, tokenizer = models.stage, caption_ids(models)
    share = host_share(mesh, loader.batch_size)
    if data.kind != "latents":
        source = open_source(data, loader, needs_masks=stage.needs_masks)
        if jax.process_index() == 0:
            announce(source, loader.journal)
            if report is not None and len(source):
                print(f"data     {report_on_data(report, source, loader, tokenizer)}", flush=True)
        return make_loader(source, loader, *share, tokenizer=tokenizer)
    if loader.first_frame_dropout:
        raise UserError(
            "loader.first_frame_dropout: latent shards have first frames and masks as they were built, expected 0 here "
            "and the share in the settings of `vp-jax latents`"
        )
    if stage.needs_pixels:
        raise UserError(f"data.kind latents: the {stage.kind} stage learns from pixels, choose another kind")
    clips = VPDataRecords(data.clips, data.split) if data.clips else None
    return make_latent_loader(
        LatentRecords(data.path, data.split),
        loader,
        models.latent_scale,
        *share,
        source=clips,
        empty_text_ME=load_empty_text(data.path) if loader.empty_caption else None,
        tokenizer=tokenizer,
        masked=stage.needs_masks,
    )


def host_share(mesh: Mesh, batch_size: int) -> tuple[int, int]:
    """(index, count): which of ``count`` equal parts of the batch this host's devices hold.

    Hosts that share a sequence (axes context, tensor) hold the same part and load it alike.

    Raises:
      UserError: the batch does not divide, or a host holds parts that are not next to each other.
    """
    layout = sharding.batch_shardings(jax.ShapeDtypeStruct((batch_size,), np.float32), mesh)
    rows = {
        row
        for (part,) in layout.addressable_devices_indices_map((batch_size,)).values()
        for row in range(*part.indices(batch_size))
    }
    first, count = min(rows), len(rows)
    if max(rows) - first + 1 != count or batch_size % count or first % count:
        raise UserError(
            f"this host's devices hold rows {sorted(rows)} of a batch of {batch_size}: choose mesh sizes "
            f"that give each host one equal run of rows"
        )
    return first // count, batch_size // count


def on_devices(loaded: Mapping[str, Any], mesh: Mesh) -> PixelBatch | LatentBatch:
    """What the devices need of this host's share of a batch, as global arrays divided by examples."""
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(sharding.BATCH))
    place = functools.partial(jax.make_array_from_process_local_data, rows)
    batch: PixelBatch | LatentBatch = jax.tree.map(place, device_batch(loaded))
    return batch
