"""Runs variants on cases, batch by batch, and stores every finished clip, so that a restart continues."""

from __future__ import annotations

import dataclasses
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bench.nano.batched import BatchSampler
from bench.nano.cases import WINDOW, Case
from bench.nano.results import Key, Store, measure, summary
from bench.nano.variants import Variant, composed, fingerprint, parts_of
from vp_jax.eval.bootstrap import Interval
from vp_jax.inference.named import NAMED
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.media.canvas import composite
from vp_jax.vpbench.baselines import BASELINES, first_given


@dataclasses.dataclass(frozen=True)
class Setup:
    """Folders and sampling settings.

    Attributes:
      model: folder of weights.
      runs: folder of the variants' training runs.
      out: folder of results.
      steps: denoising steps.
      guidance: guidance scale.
      batch: clips that are sampled together.
      seed: seed of all noise.
      pictures: clips of each split whose pictures are stored.
    """

    model: Path
    runs: Path
    out: Path
    steps: int = NAMED["nano"].settings["steps"]
    guidance: float = NAMED["nano"].settings["guidance"]
    batch: int = 8
    seed: int = 0
    pictures: int = 4

    def settings(self, variant: Variant) -> Settings:
        """Sampling settings of a variant, with constant guidance and windows of the model's size."""
        return Settings(
            steps=self.steps,
            guidance=self.guidance,
            dynamic_guidance=False,
            window=WINDOW,
            seed=self.seed,
            **variant.settings,
        )

    @property
    def store(self) -> Store:
        """The file of results."""
        return Store(self.out / "results.jsonl")


@dataclasses.dataclass(frozen=True)
class Job:
    """A variant and the cases of a split; ``parts`` is empty if weights are missing."""

    variant: Variant
    split: str
    cases: Sequence[Case]
    parts: dict[str, Path]
    fingerprint: str

    @property
    def absent(self) -> bool:
        """Whether weights are missing."""
        return not self.parts and self.variant.kind not in BASELINES

    def key(self, case: Case) -> Key:
        """Key of the result of a case."""
        return Key(self.variant.name, self.split, case.name, f"{self.fingerprint}-{case.digest}")


def job(setup: Setup, variant: Variant, split: str, cases: Sequence[Case]) -> Job:
    """Job of a variant, with the folders of its weights."""
    if variant.kind in BASELINES:
        return Job(variant, split, cases, {}, fingerprint(variant, {}, {}))
    parts = parts_of(variant, setup.model, setup.runs)
    return Job(variant, split, cases, parts, fingerprint(variant, parts, dataclasses.asdict(setup.settings(variant))))


def run(setup: Setup, jobs: Sequence[Job], progress: Callable[[int, int, str], None]) -> None:
    """Run what is not stored yet; ``progress`` is called with (clips done, all clips, label)."""
    stored = setup.store.read()
    waiting = [[case for case in work.cases if work.key(case) not in stored] for work in jobs]
    done, total = 0, sum(len(cases) for work, cases in zip(jobs, waiting) if not work.absent)
    for work, cases in zip(jobs, waiting):
        if work.absent or not cases:
            continue
        label = f"{work.split}/{work.variant.name}"
        progress(done, total, label)
        pictured = {case.name for case in work.cases[: setup.pictures]}
        for case, result_FHWC in _results(setup, work, cases):
            starts = plan_windows(len(result_FHWC), setup.settings(work.variant)).windows
            if case.name in pictured:
                _keep_picture(setup.out, work, case, result_FHWC)
            setup.store.add(work.key(case), measure(case, result_FHWC, starts))
            done += 1
            progress(done, total, label)


def finished(setup: Setup, jobs: Sequence[Job]) -> dict[str, dict[str, dict[str, float]]]:
    """Metrics by variant and clip, of variants that have results for all their cases."""
    stored, out = setup.store.read(), {}
    for work in jobs:
        keys = {case.name: work.key(case) for case in work.cases}
        if all(key in stored for key in keys.values()):
            out[work.variant.name] = {name: stored[key] for name, key in keys.items()}
    return out


def summaries(setup: Setup, jobs: Sequence[Job]) -> dict[str, dict[str, Interval]]:
    """Intervals by variant, see `finished`."""
    return {name: summary(list(rows.values())) for name, rows in finished(setup, jobs).items()}


def values(setup: Setup, jobs: Sequence[Job], metric: str) -> dict[str, dict[str, float]]:
    """One metric by variant and clip, see `finished`."""
    return {name: {clip: row[metric] for clip, row in rows.items()} for name, rows in finished(setup, jobs).items()}


def picture_file(out: Path, split: str, variant: str, case: str) -> Path:
    """File of the frames of a result: a PNG with frames side by side."""
    return out / "pictures" / f"{split}_{variant}_{case}.png"


def strip(frames_FHWC: np.ndarray, count: int = 6) -> np.ndarray:
    """Evenly spaced frames after the first, side by side, with dark lines between them."""
    chosen_FHWC = frames_FHWC[np.linspace(1, len(frames_FHWC) - 1, count).astype(int)]
    return np.concatenate(np.pad(chosen_FHWC, ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=22), axis=1)


def _keep_picture(out: Path, work: Job, case: Case, result_FHWC: np.ndarray) -> None:
    path = picture_file(out, work.split, work.variant.name, case.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(strip(composite(case.source_FHWC, result_FHWC, case.holes_FHW))).save(path)


def _results(setup: Setup, work: Job, cases: Sequence[Case]) -> Iterator[tuple[Case, np.ndarray]]:
    """Each case with the result of the variant."""
    if work.variant.kind in BASELINES:
        for case in cases:  # frame 0 is given, as it is to the model
            given = first_given(case.source_FHWC, case.holes_FHW, case.truth_FHWC[0])
            yield case, BASELINES[work.variant.kind](*given)
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = composed(work.parts, Path(folder) / "model")
        sampler = BatchSampler(Pipeline.load(checkpoint, precision="float32"), setup.settings(work.variant))
        text_BME = sampler.pipeline.encode_prompts([*(case.prompt for case in cases), ""])
    for begin in range(0, len(cases), setup.batch):
        part = cases[begin : begin + setup.batch]
        # the last batch is filled up: one size, one program
        rows = [min(begin + row, len(cases) - 1) for row in range(setup.batch)]
        filled = [cases[row] for row in rows]
        truth_BFHWC = np.stack([case.truth_FHWC for case in filled])
        if work.variant.kind == "vae":
            result_BFHWC = sampler.round_trip(truth_BFHWC)
        else:
            frames_BFHWC, holes_BFHW = (
                np.stack([getattr(case, name) for case in filled]) for name in ("source_FHWC", "holes_FHW")
            )
            if work.variant.first_frame:
                frames_BFHWC, holes_BFHW = frames_BFHWC.copy(), holes_BFHW.copy()
                frames_BFHWC[:, 0], holes_BFHW[:, 0] = truth_BFHWC[:, 0], False
            seeds = [zlib.crc32(f"{setup.seed} {case.name}".encode()) for case in filled]
            result_BFHWC = sampler(frames_BFHWC, holes_BFHW, text_BME[rows], text_BME[-1], seeds)
        yield from zip(part, result_BFHWC)
