"""Doors for what earlier runs left: training runs, kept windows, settings files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from tests.fuzz.doors import Wrong, door
from tests.fuzz.mutations import Rng, damage_file, damage_one, pick
from vp_jax.checkpoint import TrainingCheckpoints
from vp_jax.cli import settings
from vp_jax.data.journal import Journal
from vp_jax.inference.state import Carry
from vp_jax.jobs.manifest import ChosenWindow, Manifest
from vp_jax.jobs.store import WindowStore
from vp_jax.runs.plots import draw_curves
from vp_jax.runs.run_config import RunConfig
from vp_jax.runs.workdir import claimed_workdir, record_start
from vp_jax.scalars import MetricsWriter

STATE = {"a": np.arange(6, dtype=np.float32), "b": {"c": np.ones((2, 3), np.int32)}}
KEPT_JOB = Manifest({"job": "the job"}, tuple(ChosenWindow(42, "", "") for _ in range(3)))
ROOT = Path(__file__).parent.parent.parent


def training_run(folder: Path) -> None:
    """A folder of a run: two checkpoints, metrics, journal, settings."""
    run = folder / "run"
    with claimed_workdir(run), TrainingCheckpoints(run / "checkpoints", 3) as checkpoints:
        record_start(run, {"checkpoints": {"every": 1}, "steps": 2}, 0)
        with MetricsWriter(run) as writer:
            for step in (1, 2):
                state = jax.tree.map(lambda leaf, step=step: jax.numpy.asarray(leaf * step), STATE)
                checkpoints.save(step, state, {"loader": {"step": step}, "config": {}}, wait=True)
                writer.write(step, {"loss": 1.0 / step, "loss_t0": 0.5, "lr": 1e-4})
    Journal(run / "data.jsonl").skip("dog.mp4", "clips/dog.mp4", "damaged")
    shutil.rmtree(run / "tensorboard", ignore_errors=True)


@door("training run", training_run)
def _training_run(folder: Path, rng: Rng) -> Callable[[], object]:
    run = folder / "run"
    damage_one(run, rng, pick(rng, ("checkpoints/**/*", "*")))

    def resume() -> None:
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device), STATE)
        with claimed_workdir(run), TrainingCheckpoints(run / "checkpoints", 3) as checkpoints:
            found = checkpoints.restore_newest(like)
            with MetricsWriter(run, resume_step=found.step if found else 0) as writer:
                writer.write(3, {"loss": 0.1})
            record_start(run, {"checkpoints": {}}, 0)
            Journal(run / "data.jsonl").skip("cat.mp4", "clips/cat.mp4", "damaged")
        if found and not np.array_equal(found.state["a"], STATE["a"] * found.step):
            raise Wrong(f"step {found.step} holds other values than were saved")

    return resume


@door("curves", training_run)
def _curves(folder: Path, rng: Rng) -> Callable[[], object]:
    damage_file(folder / "run" / "metrics.jsonl", rng)
    return lambda: draw_curves(folder / "run", folder / "curves.png")


def kept_windows(folder: Path) -> None:
    """Two finished windows of a job."""
    store = WindowStore(folder / "store", KEPT_JOB)
    for window in range(2):
        store.save(window, Carry(jax.numpy.full((1, 2, 2, 2, 4), window + 1.0), None))


@door("kept windows", kept_windows)
def _kept_windows(folder: Path, rng: Rng) -> Callable[[], object]:
    damage_one(folder / "store", rng)

    def resume() -> None:
        store = WindowStore(folder / "store", KEPT_JOB)
        finished = next(window for window in range(3) if not store.has(window))
        for window in range(finished):
            if not (np.asarray(store.carry(window).latents_BThwC) == window + 1.0).all():
                raise Wrong(f"window {window} holds other values than were saved")
        store.step(finished)
        store.save(finished, Carry(jax.numpy.zeros((1, 2, 2, 2, 4)), None))

    return resume


def settings_files(folder: Path) -> None:
    """A settings file of one's own."""
    shutil.copy(ROOT / "configs" / "tiny.py", folder / "mine.py")


@door("settings file", settings_files)
def _settings_file(folder: Path, rng: Rng) -> Callable[[], object]:
    damage_file(folder / "mine.py", rng)
    name = pick(
        rng, ("mine.py", "mine.py", "mine.py", "mine.py:x", "mine", "", ":", "a\0b", ".", "/dev/zero", "x" * 5000)
    )
    return lambda: RunConfig.read(settings.config_from_file(name), folder / "run")
