"""What a run cost, stage by stage, and what a larger one will: time, money and disk, with the bottleneck named.

Seconds are those that each record took when it was computed, on one core of this machine, runs before this one
included; a cluster of W cores takes a W-th. The days of GPUs are arithmetic: the frames of the videos that reach a
stage, divided by the frames per second that the user states for it. A stage that was run on a GPU of its own has its
measured rate in the columns of cores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vp_jax.curate.run import CurationRun

CORES = (1, 64, 1024)
GPUS = (1, 64)
_GIB = 1 << 30


class StageCost(NamedTuple):
    """A stage.

    Attributes:
      stage: its name.
      per_second: records that a core does in a second, 0 if nothing was measured.
      video_per_second: seconds of video that a core does in a second.
      hours: of one core, for the videos extrapolated to.
      share: of all hours.
      gpu_hours: of one GPU at the stated frames per second; 0 where none are stated.
    """

    stage: str
    per_second: float
    video_per_second: float
    hours: float
    share: float
    gpu_hours: float = 0.0


class Costs(NamedTuple):
    """A run's costs.

    Attributes:
      stages: see `StageCost`.
      sources: of the run.
      videos: extrapolated to.
      clips: that will come of them.
      price: of a core for an hour.
      output_bytes, work_bytes: that will be on the disk, results and intermediate ones.
      gpu_price: of a GPU for an hour.
    """

    stages: Sequence[StageCost]
    sources: int
    videos: int
    clips: int
    price: float
    output_bytes: float
    work_bytes: float
    gpu_price: float = 0.0

    @property
    def gpu_hours(self) -> float:
        """Of one GPU, for the stages with a stated rate."""
        return sum(stage.gpu_hours for stage in self.stages)

    @property
    def hours(self) -> float:
        """Of one core."""
        return sum(stage.hours for stage in self.stages)

    @property
    def bottleneck(self) -> StageCost:
        """The stage that takes most."""
        return max(self.stages, key=lambda stage: stage.hours)

    def lines(self) -> list[str]:
        """A table for the terminal."""
        heads = "".join(f"{f'days, {cores} core' + 's' * (cores > 1):>18}" for cores in CORES)
        if self.gpu_hours:
            heads += "".join(f"{f'days, {gpus} GPU' + 's' * (gpus > 1):>16}" for gpus in GPUS)
        rows = [f"{'stage':<12}{'records/s':>11}{'video s/s':>11}{'share':>8}{heads}   for {self.videos:,} videos"]
        for stage in self.stages:
            days = self._days(stage.hours, stage.gpu_hours)
            rows.append(
                f"{stage.stage:<12}{_rate(stage.per_second):>11}{_rate(stage.video_per_second):>11}{stage.share:>8.1%}{days}"
            )
        total = self._days(self.hours, self.gpu_hours)
        rows.append(f"{'all':<12}{'':>11}{'':>11}{'':>8}{total}")
        return [*rows, *self.sentences()]

    def _days(self, hours: float, gpu_hours: float) -> str:
        """Cells of a row; a stage without a stated rate has none for GPUs."""
        cells = "".join(f"{hours / 24 / cores:>18,.2f}" for cores in CORES)
        if not self.gpu_hours:
            return cells
        return cells + "".join(f"{gpu_hours / 24 / gpus:>16,.2f}" if gpu_hours else f"{'':>16}" for gpus in GPUS)

    def sentences(self) -> list[str]:
        """The costs in words."""
        worst = self.bottleneck
        stated = [stage.stage for stage in self.stages if stage.gpu_hours]
        on_gpus = [
            f"on GPUs at the stated frames a second, {', '.join(stated)} would take {self.gpu_hours:,.0f} GPU hours "
            f"({self.gpu_hours * self.gpu_price:,.0f} at {self.gpu_price:g} an hour)"
        ]
        return [
            f"bottleneck: {worst.stage}, {worst.share:.0%} of the time",
            *(on_gpus if stated else []),
            f"{self.videos:,} videos give about {self.clips:,} clips, in {self.hours:,.0f} core hours "
            f"({self.hours * self.price:,.0f} at {self.price:g} an hour), with {self.output_bytes / _GIB:,.1f} GiB of "
            f"results and {self.work_bytes / _GIB:,.1f} GiB of intermediate files",
            f"measured on {self.sources} sources on one core each of a machine with {os.cpu_count()}",
        ]


def costs_of(
    done: CurationRun, videos: int, price: float, gpu_rates: Mapping[str, float] | None = None, gpu_price: float = 0.0
) -> Costs:
    """Costs of a run, extrapolated.

    Args:
      done: the run.
      videos: number of sources to extrapolate to.
      price: of a core for an hour.
      gpu_rates: frames that a GPU does in a second, by the name of the stage.
      gpu_price: of a GPU for an hour.
    """
    rates = gpu_rates or {}
    counts = [count for count in done.funnel.counts if count.seconds]
    sources = max(1, done.funnel.counts[0].came)
    seconds = sum(count.seconds for count in counts) or 1.0
    stages = [
        StageCost(
            count.stage,
            count.came / count.seconds,
            count.video_seconds / count.seconds,
            count.seconds / 3600 * videos / sources,
            count.seconds / seconds,
            count.frames / rates[count.stage] / 3600 * videos / sources if count.stage in rates else 0.0,
        )
        for count in counts
    ]
    scale = videos / sources
    output = _bytes([done.root / "vpdata", *([done.shards] if done.shards else [])])
    work = _bytes([done.root / "work"])
    clips = round(len(done.clips) * scale)
    return Costs(stages, sources, videos, clips, price, output * scale, work * scale, gpu_price)


def _bytes(folders: Sequence[Path]) -> int:
    """Bytes of all files, each once, however many names it has."""
    files = {}
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file():
                found = file.stat()
                files[found.st_dev, found.st_ino] = found.st_size
    return sum(files.values())


def _rate(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
