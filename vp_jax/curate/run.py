"""A run of curation: sources, the two pipelines with the comparison of all clips between them, and the output.

Everything a run reports comes from the store, so a run that was killed and started again reports what a run without
interruption does.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from vp_jax import digests
from vp_jax.curate.engine import run_stages
from vp_jax.curate.funnel import Funnel, funnel_of, journal_lines
from vp_jax.curate.near_duplicates import near_duplicates
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.settings import CurationSettings
from vp_jax.curate.store import KEPT, StageStep, StageStore, walk
from vp_jax.curate.watch import CurationProgressFn, watched
from vp_jax.curate.write import TRAIN, Written, named, write_output
from vp_jax.errors import UserError
from vp_jax.files import fresh_folder, locked, replace_parts, write_text


class CurationRun(NamedTuple):
    """What a run made.

    Attributes:
      root: the output folder.
      steps: every record at every stage that it reached.
      duplicates: names of near-duplicates with the name of the clip that each repeats.
      clips: of the output.
      funnel: counts per stage.
      tables: VPData's, one for each split.
      shards: folder of the ArrayRecord shards, None if there are none.
    """

    root: Path
    steps: Sequence[StageStep]
    duplicates: dict[str, str]
    clips: Sequence[Written]
    funnel: Funnel
    tables: Sequence[Path]
    shards: Path | None


def curate(
    sources: Sequence[ClipRecord],
    root: Path | str,
    settings: CurationSettings,
    beam_options: Sequence[str] = (),
    progress: CurationProgressFn | None = None,
) -> CurationRun:
    """Run all stages over sources, and write the output.

    Args:
      sources: records that nobody has opened, see `vp_jax.curate.sources`.
      root: the output folder; what an earlier run did in it is not repeated.
      settings: stages and their thresholds.
      beam_options: as on Beam's command line.
      progress: called with the clips that are done, their number and a label: first for sources that are loaded, then
        for clips that go through the other stages.

    Raises:
      UserError: another run writes the folder, or no clip is left; the message says what dropped most.
    """
    root = Path(root).absolute()
    with locked(root / ".lock", f"another run curates into {root}: wait until it ends, or choose another folder"):
        return _curate(sources, root, settings, beam_options, progress)


def _curate(
    sources: Sequence[ClipRecord],
    root: Path,
    settings: CurationSettings,
    beam_options: Sequence[str],
    progress: CurationProgressFn | None,
) -> CurationRun:
    store, stages = StageStore(root), settings.stages
    with watched(store, stages[:1], sources, progress):
        run_stages(stages[:1], sources, root, beam_options, settings.batch)
    collected = list(walk(store, stages[:1], sources))
    found = [record for step in collected for record in step.outcome.records]
    duplicates = near_duplicates(found, settings.duplicate_bits)
    clips = [record for record in found if record.name not in duplicates]
    with watched(store, stages[1:], clips, progress):
        run_stages(stages[1:], clips, root, beam_options, settings.batch)
    steps = [*collected, *walk(store, stages[1:], clips)]
    packed = [
        record
        for step in steps
        if step.stage is stages[-1] and step.outcome.kind == KEPT
        for record in step.outcome.records
    ]
    funnel = funnel_of(steps, stages, duplicates)
    write_text(root / "journal.jsonl", "".join(line + "\n" for line in journal_lines(steps, duplicates)))
    if not packed:
        raise UserError(f"no clip is left of {len(sources)} sources: {funnel.reasons()}; see {root / 'journal.jsonl'}")
    written = named(packed, settings.validation)
    tables = write_output(root, written, stages)
    shards = _shards(root, tables) if settings.shards and _packs_npz(settings) else None
    return CurationRun(root, steps, duplicates, written, funnel, tables, shards)


def _packs_npz(settings: CurationSettings) -> bool:
    return bool(getattr(settings.stages[-1], "npz", True))


def _shards(root: Path, tables: Sequence[Path]) -> Path:
    """ArrayRecord shards of the layout, in place of those of an earlier run, unless they are of the same clips."""
    from vp_jax.data.shards.vpdata_tfds import VpdataConfig, build
    from vp_jax.data.sources.vpdata import Layout

    made_of = digests.of_json([file.read_text() for file in (*tables, root / "provenance.jsonl")])
    note, folder = root / ".shards.of", root / "shards"
    if folder.is_dir() and note.is_file() and note.read_text() == made_of:
        return folder
    new = root / ".shards"
    fresh_folder(new)
    csvs = {("train" if TRAIN in table.name else "validation"): table for table in tables}
    with _quiet():
        build(VpdataConfig(Layout.under(root / "vpdata"), csvs, frames=1, min_caption=0), new)
    note.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    for hidden in new.rglob(".*.lock"):
        hidden.unlink()
    replace_parts(new, folder)
    write_text(note, made_of)
    return folder


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Context without the progress of TFDS on the terminal."""
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.root.setLevel(level)
