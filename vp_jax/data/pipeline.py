"""The training loader: source -> shuffle -> repeat -> example -> rows of this process -> batch -> workers.

Example i of the stream, with its window, mask and noise level, is a pure function of (seed, i). A bad record is
replaced by another one, drawn from (seed, i), so the stream has no gaps. Batch s is therefore the same for any number
of worker processes and hosts and after every restart, and the state of the loader is one integer.

    loader = make_loader(source, LoaderConfig(batch_size=8), process_index, process_count)
    batch = next(loader); state = loader.get_state(); loader.set_state(state); loader.close()
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grain
import numpy as np
from absl import flags

from vp_jax.data.augment import MaskAugment
from vp_jax.data.clips import (
    RESIZE,
    AugmentMasks,
    ChooseWindow,
    ClipTransform,
    CoverCells,
    DropCaption,
    Example,
    ImageNoise,
    Read,
    Resize,
    SelectKeys,
    ShowFirstFrame,
    Tokenize,
    to_model_range,
)
from vp_jax.data.journal import Journal
from vp_jax.data.records import BadRecord, Source
from vp_jax.errors import UserError, check_numbers

BATCH_KEYS = (
    "pixels",
    "masks",
    "mask",
    "caption",
    "input_ids",
    "image_sigma",
    "image_keep",
    "id",
    "fps",
    "note",
    "unread",
)
"""Keys of an example that go into a batch."""

ATTEMPTS = 64
"""Records that are tried for one example before the run fails."""

ENDLESS = 2**48
"""Examples of an endless stream; the length of Grain's own endless repeat is too large to slice and batch."""


@dataclass(frozen=True)
class LoaderConfig:
    """Settings of the loader. Defaults are those of the published recipe.

    Attributes:
      batch_size: examples of a batch, over all processes.
      seed: seed of all random choices.
      frames: frames of an example.
      fps: frames per second of an example.
      height: rows of an example.
      width: columns of an example.
      resize: one of `clips.RESIZE`.
      augment: augmentation of the masks.
      show_first_frame: remove the hole of the first frame.
      first_frame_dropout: probability that it is not removed, as in sampling without a first frame; the image condition
        then has the hole, too. 0, as published: never.
      cover_cells: the latent mask has every cell that a hole touches, as in the default mode of the sampler; the recipe
        takes the cells whose top-left pixel is in the hole.
      empty_caption: probability of an empty caption.
      image_log_sigma: mean and standard deviation of the logarithm of the image condition's noise level.
      image_dropout: probability that the image condition is dropped.
      on_device: leave the batch in uint8, for `vp_jax.training.encode` on the accelerator.
      workers: processes on this host that prepare examples; 0 uses threads of this process.
      threads: threads of each worker.
      prefetch: examples that are prepared in advance.
      journal: file that names bad records, or ``None``.
      max_bad_rate: largest share of bad records before the run fails.
      min_seen: records to draw before that share is checked.
      excluded: ids of clips that are never used; each draw of one is replaced as that of a bad record.

    Raises:
      UserError: a value out of range.
    """

    batch_size: int = 8
    seed: int = 42
    frames: int = 49
    fps: float = 8
    height: int = 480
    width: int = 720
    resize: str = "stretch"
    augment: MaskAugment = field(default_factory=MaskAugment)
    show_first_frame: bool = True
    first_frame_dropout: float = 0.0
    cover_cells: bool = False
    empty_caption: float = 0.0
    image_log_sigma: tuple[float, float] = (-3.0, 0.5)
    image_dropout: float = 0.05
    on_device: bool = False
    workers: int = 0
    threads: int = 1
    prefetch: int = 2
    journal: Path | str | None = None
    max_bad_rate: float = 0.05
    min_seen: int = 100
    excluded: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_numbers(self, "seed", 0, 2**32 - 1)
        check_numbers(self, "batch_size", 1, 65_536)
        check_numbers(self, "frames height width", 1, 8192)
        check_numbers(self, "fps", above=True)
        check_numbers(self, "empty_caption first_frame_dropout image_dropout max_bad_rate", 0, 1)
        check_numbers(self, "workers threads prefetch", 0, 1024)
        check_numbers(self, "min_seen")
        if self.resize not in RESIZE:
            raise UserError(f"resize {self.resize!r}: expected {' or '.join(RESIZE)}")
        if len(self.image_log_sigma) != 2 or not self.image_log_sigma[1] >= 0:
            raise UserError(f"image_log_sigma {self.image_log_sigma}: expected mean and standard deviation (0 or more)")


def make_loader(
    source: Source,
    cfg: LoaderConfig,
    process_index: int = 0,
    process_count: int = 1,
    tokenizer: Callable[[str], np.ndarray] | None = None,
) -> Loader:
    """An endless stream of the rows of this process of each batch.

    A batch is a dict with ``pixels_BFHWC`` and ``masked_BFHWC`` float32 [-1, 1], ``masks_BFHW`` float32 {0, 1}, strings
    ``caption`` and ``id``, ``image_sigma``, ``image_keep`` and ``fps`` (B,), and ``input_ids`` (B, M) int32 if there is
    a tokenizer; one that has a method ``unused`` adds ``unread`` (B,), true where a caption is not read completely.

    Args:
      source: clips.
      cfg: settings.
      process_index: number of this process.
      process_count: number of processes.
      tokenizer: token ids (M,) of a caption.

    Raises:
      UserError: an empty source, or a batch that the processes do not divide.
    """
    steps = pixel_transforms(cfg)
    if tokenizer:
        steps.append(Tokenize.by(tokenizer))
    steps.append(SelectKeys(BATCH_KEYS))
    batches = compose(source, steps, cfg, process_index, process_count)
    return Loader(batches, cfg, (lambda batch: batch) if cfg.on_device else to_model_range, len(source))


def pixel_transforms(cfg: LoaderConfig) -> list[ClipTransform]:
    """Transforms of the recipe in order, from ``clip`` to uint8 pixels and masks."""
    return [
        ChooseWindow(cfg.frames, cfg.fps),
        Read(),
        AugmentMasks(cfg.augment),
        Resize(cfg.height, cfg.width, cfg.resize),
        *([ShowFirstFrame(cfg.first_frame_dropout)] if cfg.show_first_frame else []),
        *([CoverCells()] if cfg.cover_cells else []),
        DropCaption(cfg.empty_caption),
        ImageNoise(*cfg.image_log_sigma, cfg.image_dropout),
    ]


def compose(
    source: Any, steps: Sequence[ClipTransform], cfg: LoaderConfig, process_index: int = 0, process_count: int = 1
) -> grain.MapDataset:
    """Data set of the batches of this process by step number: shuffle the source, apply ``steps``, batch.

    Args:
      source: sequence of clips.
      steps: transforms of an example.
      cfg: settings.
      process_index: number of this process.
      process_count: number of processes.

    Raises:
      UserError: an empty source, or a batch that the processes do not divide.
    """
    if not len(source):
        raise UserError("the data source is empty")
    if cfg.batch_size % process_count:
        raise UserError(f"batch_size {cfg.batch_size}: expected a multiple of the {process_count} processes")
    if 2 * len(cfg.excluded) > len(source):
        raise UserError(
            f"{len(cfg.excluded)} of {len(source)} clips are excluded, more than half: the settings are the cause, not "
            f"the data; lower optimizer.lr, and remove the lines of kind excluded from {cfg.journal}"
        )
    journal = Journal(cfg.journal, cfg.max_bad_rate, cfg.min_seen)
    example = MakeExample(source, tuple(steps), journal, frozenset(cfg.excluded))
    examples = (
        grain.MapDataset.range(len(source))
        .seed(cfg.seed)
        .shuffle()
        .repeat(max(1, ENDLESS // len(source)))
        .random_map(example)
    )
    # after random_map, so that an example's draws do not depend on the number of processes
    share = BatchRows(examples, cfg.batch_size, cfg.batch_size // process_count, process_index)
    return share.batch(cfg.batch_size // process_count, batch_fn=stack)


class BatchRows(grain.MapDataset):  # type: ignore[misc]
    """Selects, of every ``batch`` elements, the ``rows`` consecutive ones of process ``index``.

    The rows of all processes in order are the batch, so an example has the same row, and the same noise, on any number
    of hosts.
    """

    def __init__(self, parent: grain.MapDataset, batch: int, rows: int, index: int):
        super().__init__(parent)
        self._examples, self._batch, self._rows, self._first = parent, batch, rows, index * rows

    def __len__(self) -> int:
        return len(self._examples) // self._batch * self._rows

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self.slice(index)
        step, row = divmod(index, self._rows)
        return self._examples[step * self._batch + self._first + row]


class Loader:
    """Iterator over batches, prepared in threads or worker processes; its state is the number of the next batch.

    Grain's own state depends on its workers. This one does not, so a run may continue with other workers and hosts.

    Args:
      batches: batches by step number, from `compose`.
      cfg: settings.
      finish: last conversion of a batch, in this process.
      records: number of records of the source, on which the order of the batches depends.
    """

    def __init__(
        self, batches: grain.MapDataset, cfg: LoaderConfig, finish: Callable[[Example], Example], records: int
    ) -> None:
        self._batches, self._cfg, self._finish, self.records = batches, cfg, finish, records
        self._step = 0
        self._iterator: grain.DatasetIterator | None = None

    def __iter__(self) -> Loader:
        return self

    def __next__(self) -> Example:
        if self._iterator is None:
            self._iterator = iter(self._stream())
        batch = next(self._iterator)
        self._step += 1
        # copies free the workers' shared memory at once
        return self._finish({key: np.array(value) for key, value in batch.items()} if self._cfg.workers else batch)

    def _stream(self) -> grain.IterDataset:
        cfg = self._cfg
        rest = self._batches.slice(slice(self._step, None))
        stream = rest.to_iter_dataset(grain.ReadOptions(num_threads=cfg.threads, prefetch_buffer_size=cfg.prefetch))
        if not cfg.workers:
            return stream
        if not flags.FLAGS.is_parsed():  # Grain reads absl flags when it starts workers, also in programs without absl
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(num_workers=cfg.workers, per_worker_buffer_size=1)
        return stream.mp_prefetch(options, worker_init_fn=end_with_parent)

    def get_state(self) -> dict[str, int]:
        """State as JSON values: ``{"step": number of the next batch}``."""
        return {"step": self._step}

    def set_state(self, state: dict[str, int]) -> None:
        """Continue with the batch of ``state``.

        Raises:
          UserError: not a state of this loader.
        """
        if set(state) != {"step"} or not isinstance(state["step"], int) or state["step"] < 0:
            raise UserError(f"loader state {state!r}: expected {{'step': number of the next batch}}")
        self.close()
        self._step = state["step"]

    def close(self) -> None:
        """End the worker processes; the next `__next__` starts new ones."""
        if self._iterator is not None:
            self._iterator.close()
            self._iterator = None


def end_with_parent(worker_index: int, worker_count: int) -> None:
    """End a worker whose parent was killed; Grain's workers would otherwise wait for ever and hold memory."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # Grain calls this only in its workers

    def watch() -> None:
        # waits for a pipe that closes with the parent; the process id is useless if the parent has died already
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def streams(steps: Sequence[ClipTransform]) -> list[int]:
    """Random stream of each step, by its class: with or without a step, the draws of the others are the same."""
    names = [type(step).__name__ for step in steps]
    return [zlib.crc32(f"{name} {names[:place].count(name)}".encode()) for place, name in enumerate(names)]


@dataclass(frozen=True)
class MakeExample(grain.transforms.RandomMap):  # type: ignore[misc]
    """Makes an example of a record number. Bad records are logged, and another number is drawn."""

    source: Any
    steps: tuple[ClipTransform, ...]
    journal: Journal
    excluded: frozenset[str] = frozenset()

    def random_map(self, index: int, rng: np.random.Generator) -> Example:
        """Example of record ``index``, or of another one if it is bad.

        Raises:
          UserError: too many bad records.
        """
        base, reason = int(rng.integers(2**63)), ""
        for attempt in range(ATTEMPTS):
            name, origin = f"record {index}", type(self.source).__name__
            try:
                clip = self.source[index]
                name, origin = clip.id, clip.origin
                if name in self.excluded:
                    reason, index = "it is excluded", self._another(base, attempt)
                    continue
                example: Example = {"clip": clip}
                for step, stream in zip(self.steps, streams(self.steps)):
                    example = step(example, np.random.default_rng([base, attempt, stream]))
            except BadRecord as error:
                reason = str(error)
                self.journal.skip(name, origin, reason)
                index = self._another(base, attempt)
                continue
            self.journal.good()
            if note := example.pop("note", ""):
                self.journal.note(name, origin, note)
            return example
        where = f"see {self.journal.path}" if self.journal.path else f"the last one is {name}: {reason}"
        raise UserError(f"{ATTEMPTS} records in a row could not be used; {where}")

    def _another(self, base: int, attempt: int) -> int:
        """Number of the record that replaces one which cannot be used."""
        return int(np.random.default_rng([base, attempt]).integers(len(self.source)))


def stack(examples: Sequence[Example]) -> Example:
    """Stack examples into a batch: arrays get a leading axis, strings become an array of strings.

    Rows lie one after another, whatever the strides of an example: Grain passes other arrays from its workers through a
    pipe, where a batch that nobody reads any more keeps a worker from ending for 25 seconds.
    """
    return {
        key: np.ascontiguousarray(np.stack([np.asarray(example[key]) for example in examples])) for key in examples[0]
    }
