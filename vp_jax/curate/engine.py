"""Apache Beam runs the stages over records: RunInference those with a model, a ParDo the others.

    Create(sources) -> collect ------ barrier: near-duplicates ------ Create(clips) -> cuts -> tag -> ... -> pack

Results are in the store. What a worker emits are the records that the next stage takes; what is reported comes from the
store, so every runner, and every rerun, gives the same. The output folder must be seen by all workers under the same
path.

`DASK` needs workers on a `distributed` cluster. Flink, Spark and Dataflow get their options unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from vp_jax.curate.asking import ModelStage
from vp_jax.curate.inference import know_batches, through_model
from vp_jax.curate.record import ClipRecord, CurationStage
from vp_jax.curate.store import StageStore
from vp_jax.errors import UserError

DASK = "DaskRunner"
_DASK_PATH = "apache_beam.runners.dask.dask_runner.DaskRunner"
"""Beam knows this runner by its complete name only."""


class RunStage(beam.DoFn):
    """One stage without a model on a worker, where a store is opened."""

    def __init__(self, stage: CurationStage, root: str) -> None:
        self.stage, self.root = stage, root

    def process(self, clip: ClipRecord) -> Iterator[ClipRecord]:
        """Yield what a clip becomes."""
        yield from StageStore(self.root).run(self.stage, clip).records


def run_stages(
    stages: Sequence[CurationStage],
    clips: Sequence[ClipRecord],
    root: Path | str,
    beam_options: Sequence[str] = (),
    batch: int = 1,
) -> None:
    """Run stages over records until every record has an outcome at every stage that it reaches.

    Args:
      stages: in order.
      clips: records to start from.
      root: the output folder.
      beam_options: as on Beam's command line; by default Beam's runner in this process.
      batch: records that go through a model together, where it can take several.

    Raises:
      UserError: a runner or an option that Beam does not know, or a missing address of a cluster.
    """
    if not clips or not stages:
        return
    options = options_of(beam_options)
    with _reported():
        pipeline = beam.Pipeline(options=options)
        records: Any = pipeline | "clips" >> beam.Create(list(clips))
        for number, stage in enumerate(stages):
            label = f"{number}-{stage.name}"
            if isinstance(stage, ModelStage) and stage.holds_model:
                records = through_model(records, stage, str(root), batch, label, runner_of(beam_options) == DASK)
            else:
                records = records | label >> beam.ParDo(RunStage(stage, str(root)))
        result = pipeline.run()
        try:
            result.wait_until_finish()
        finally:
            if client := getattr(result, "client", None):  # Dask's, which Beam leaves connected
                client.close()


def runner_of(given: Sequence[str]) -> str:
    """The runner that options name, "" if they name none; Dask's by its short name."""
    named = next((option.partition("=")[2] for option in given if option.startswith("--runner=")), "")
    return DASK if named == _DASK_PATH else named


def options_of(given: Sequence[str]) -> PipelineOptions:
    """Options for Beam; without a runner, that of this process.

    Raises:
      UserError: an option that Beam's own runner does not know.
    """
    runner = runner_of(given)
    if runner == DASK:
        import apache_beam.runners.dask.dask_runner  # noqa: F401  makes its options known

        know_batches()
        given = [f"--runner={_DASK_PATH}" if option == f"--runner={DASK}" else option for option in given]
    options = PipelineOptions([*([] if runner else ["--runner=DirectRunner"]), *given])
    if runner in ("", "DirectRunner", DASK):
        known, named = PipelineOptions([]).get_all_options(), options.get_all_options(retain_unknown_options=True)
        if unknown := sorted({*named} - {*known}):
            raise UserError(f"Beam has no option --{unknown[0]}: see its page of pipeline options")
    return options


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Context in which the mistake behind a failed pipeline is raised as it was."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UserError | ModuleNotFoundError):
                raise cause from error
            if str(cause).startswith("Unexpected pipeline runner"):
                raise UserError(f"Beam: {cause}") from error
            cause = cause.__cause__ or cause.__context__
        raise
