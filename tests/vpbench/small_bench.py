"""A benchmark of two small drawn clips, and pieces of benchmarks for tests."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from vp_jax.vpbench.benchmarks import Benchmark, open_benchmark
from vp_jax.vpbench.clips import BenchClip, BenchInputs
from vp_jax.vpbench.methods import BaselineMethod
from vp_jax.vpbench.rows import BenchRow, BenchStore
from vp_jax.vpbench.runner import BenchRun
from vp_jax.vpbench.scoring import chosen_scores

SIZE = (32, 48)
SCORE_NAMES = ["psnr_outside", "psnr_hole", "mae_hole"]


def small_world(groups: tuple[str, ...] = ("fill", "remove"), clips: int = 1) -> Benchmark:
    return open_benchmark("world", clips=clips, groups=groups, size=SIZE)


def small_run(folder: Path, benchmark: Benchmark | None = None, methods=None, **options) -> BenchRun:
    return BenchRun(
        benchmark or small_world(),
        methods or [BaselineMethod("mean"), BaselineMethod("telea")],
        options.pop("seeds", [0]),
        chosen_scores(SCORE_NAMES, "correct"),
        BenchStore(folder),
        **options,
    )


def white_inputs(frames: int = 3, size: tuple[int, int] = SIZE, truth: bool = True) -> BenchInputs:
    """White frames with a square hole."""
    frames_FHWC = np.full((frames, *size, 3), 255, np.uint8)
    holes_FHW = np.zeros((frames, *size), bool)
    holes_FHW[:, 8:20, 8:20] = True
    return BenchInputs(frames_FHWC, holes_FHW, frames_FHWC if truth else None, Fraction(8), size)


def white_clip(name: str = "white", **options) -> BenchClip:
    return BenchClip(name, lambda: white_inputs(**options), "a white wall")


def row(clip: str, method: str, seed: int = 0, error: str = "", group: str = "all", **values: float) -> BenchRow:
    state = "failed" if error else "scored"
    return BenchRow(clip, method, seed, group, state, "made", "scored", values, error, frames=3)


def describe(*rows: BenchRow, benchmark: str = "world") -> dict:
    clips = {r.clip: {"name": r.clip, "group": r.group, "task": "fill", "prompt": "", "target": ""} for r in rows}
    return {"settings": {"benchmark": benchmark}, "clips": [*clips.values()], "scores": []}
