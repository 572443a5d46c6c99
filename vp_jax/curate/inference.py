"""Stages with models run through Beam's RunInference: records in batches, one model in each worker process.

    records -> (name, record) -> batches of N -> RunInference(StageModelHandler) -> (name, records) -> records

A model is loaded at the first record that asks it something: a rerun of what is done loads none. Models are not shared
between processes: trackers stream frames, which would have to cross over. Start one process for each GPU.

Beam fills batches with its BatchElements. Its DaskRunner loses what that gives at the end of a bundle, since it takes
results before it ends one; there, batches are cut from the partitions of Dask's bag.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, RunInference

from vp_jax.curate.asking import ModelStage
from vp_jax.curate.batches import run_batch
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.store import StageStore

Keyed = tuple[str, ClipRecord]
"""A record under its name."""


class WorkerModel:
    """A stage's model in a worker process, loaded once, at the first call."""

    def __init__(self, stage: ModelStage) -> None:
        self._stage, self._lock = stage, threading.Lock()
        self._loaded: list[Any] = []

    def __call__(self) -> Any:
        """The model; raises what loading it raises, at every call until it is loaded."""
        with self._lock:
            if not self._loaded:
                self._loaded.append(self._stage.load())
            return self._loaded[0]


class StageModelHandler(ModelHandler[ClipRecord, Sequence[ClipRecord], WorkerModel]):
    """A stage as RunInference runs it: examples are records, and predictions are what each of them becomes.

    Args:
      stage: with a model.
      root: the output folder, where results are stored.
      batch: records whose questions go to the model together; a model that gains nothing by it gets one at a time.
    """

    def __init__(self, stage: ModelStage, root: str, batch: int) -> None:
        self.size = batch if stage.batches else 1
        super().__init__(min_batch_size=self.size, max_batch_size=self.size)
        self.stage, self.root = stage, root

    def load_model(self) -> WorkerModel:
        """Beam calls this once in a process."""
        return WorkerModel(self.stage)

    def run_inference(
        self, batch: Sequence[ClipRecord], model: WorkerModel, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Sequence[ClipRecord]]:
        """What each record becomes, in order; those that are stored are not computed."""
        return [outcome.records for outcome in run_batch(StageStore(self.root), self.stage, batch, model)]

    def get_metrics_namespace(self) -> str:
        """Of Beam's metrics: batches, records, and seconds of loading and of inference."""
        return f"curate-{self.stage.name}"


def through_model(records: Any, stage: ModelStage, root: str, batch: int, label: str, dask: bool) -> Any:
    """The records that ``records`` become at a stage with a model, as Beam's collections.

    Args:
      records: collection of `ClipRecord`.
      stage: with a model.
      root: the output folder.
      batch: records that go to the model together.
      label: of the step.
      dask: whether Beam's DaskRunner runs the pipeline.
    """
    handler = StageModelHandler(stage, root, batch)
    keyed = records | f"{label}-keyed" >> beam.Map(_keyed)
    if dask:
        keyed = keyed | f"{label}-batches" >> DaskBatches(handler.size)
        found = keyed | label >> RunInference(KeyedModelHandler(handler).with_no_batching())
    else:
        found = keyed | label >> RunInference(KeyedModelHandler(handler))
    return found | f"{label}-records" >> beam.FlatMap(_records)


def _keyed(record: ClipRecord) -> Keyed:
    return record.name, record


def _records(found: tuple[str, Sequence[ClipRecord]]) -> Sequence[ClipRecord]:
    return found[1]


class DaskBatches(beam.PTransform[Any, Any]):
    """Lists of up to ``size`` elements, on Beam's DaskRunner alone."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def expand(self, elements: Any) -> Any:
        """One collection of lists; what is in them is left to `know_batches`."""
        return beam.pvalue.PCollection.from_(elements)


def know_batches() -> None:
    """Let Beam's DaskRunner translate `DaskBatches` to an operation on Dask's bags."""
    from apache_beam.runners.dask.transform_evaluator import TRANSLATIONS, DaskBagOp, defenestrate

    class Batches(DaskBagOp):
        """Batches of each partition of a bag."""

        def apply(self, input_bag: Any, side_inputs: Any = None) -> Any:
            return input_bag.map(defenestrate).map_partitions(functools.partial(batches_of, size=self.transform.size))

    TRANSLATIONS[DaskBatches] = Batches


def batches_of(elements: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of ``size`` elements; the last one may be shorter."""
    batch: list[Any] = []
    for element in elements:
        batch.append(element)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
