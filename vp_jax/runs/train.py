"""The training program: from settings to a trained model, through any number of interruptions.

    settings -> plan -> weights, data -> [ encode -> train step -> log, validate, save ] ... -> export

Where trained weights come from, the first that applies:

1. the newest checkpoint of the folder, with optimizer, average, step and place in the data
2. ``model.init_from``, the weights alone
3. the first backbone blocks (branch), an adapter that changes nothing (id_adapter) ... of a converted checkpoint, or
   of a random model where there is none
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from vp_jax import sharding, trees
from vp_jax.checkpoint import TrainingCheckpoints
from vp_jax.data.pipeline import Loader
from vp_jax.runs import multihost
from vp_jax.runs.bad_steps import announce_excluded, error_of, excluded_clips
from vp_jax.runs.boards import open_boards
from vp_jax.runs.data_report import REPORT
from vp_jax.runs.export import export_models, what_lacks
from vp_jax.runs.input_pipeline import host_share, on_devices, open_loader
from vp_jax.runs.plan import RunPlan, make_plan
from vp_jax.runs.profile import Profile
from vp_jax.runs.recorder import NotFinite, Recorder
from vp_jax.runs.run_config import RunConfig
from vp_jax.runs.saver import Resumed, Saver, check_continues
from vp_jax.runs.shutdown import ShutdownSignal
from vp_jax.runs.starting_weights import starting_weights
from vp_jax.runs.validation import Validator
from vp_jax.runs.workdir import claimed_workdir, record_start
from vp_jax.scalars import MetricsWriter
from vp_jax.training.flops import peak_flops
from vp_jax.training.optim import learning_rate
from vp_jax.training.stages.stage import Metrics
from vp_jax.training.state import TrainState

MEASURED_ON = 256
"""Clips on which an export is measured, in as many batches as training had at most: rare details are in few of them."""


def train(
    config: ConfigDict, workdir: Path, *, export_only: bool = False, export: bool = True, profile: int = 0
) -> int:
    """Train a model, or go on where ``workdir`` ends.

    Args:
      config: settings, see ``configs/common.py``.
      workdir: folder of the run; it gets checkpoints, metrics, pictures and at the end the export.
      export_only: write the newest checkpoint's model and stop.
      export: write the model when all steps are done.
      profile: steps to trace into ``workdir/profile``, see `vp_jax.runs.profile`.

    Returns:
      Exit status: 0, or 128 + the number of the signal that ended the run early.

    Raises:
      UserError: settings, data or folders that cannot be used, or a loss that is not finite.
    """
    run = RunConfig.read(config, workdir)
    if run.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", run.compilation_cache)
    multihost.join(run.distributed)
    size = (run.loader.frames, run.loader.height, run.loader.width)
    mesh = sharding.make_mesh(run.mesh)
    plan = make_plan(run.model, run.optimizer, run.step, size, steps=run.steps, ema=run.ema, mesh=mesh)
    multihost.print_once(plan.summary())
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(ShutdownSignal(alone=jax.process_count() == 1))
        stack.enter_context(jax.set_mesh(mesh))
        if multihost.is_chief():
            stack.enter_context(claimed_workdir(workdir))
        loader = _open_data(run, plan, workdir, export_only=export_only)
        stack.callback(loader.close)
        checkpoints = stack.enter_context(TrainingCheckpoints(workdir / "checkpoints", run.checkpoints.keep))
        saver = Saver(checkpoints, run.checkpoints.every, run.values, loader)
        check_continues(workdir, saver.latest, export_only=export_only)
        trainer, picture_key = begin(run, plan, saver, loader)
        if not export_only:
            writer = None
            if multihost.is_chief():
                boards = open_boards(run.boards, workdir, trainer.done, run.values)
                writer = stack.enter_context(MetricsWriter(workdir, resume_step=trainer.done, boards=boards))
                record_start(workdir, run.values, trainer.done)
            recorder = make_recorder(run, plan, writer)
            validator = Validator.prepare(run, plan, trainer.encoder_weights, picture_key, workdir, writer)
            trace = Profile(workdir / "profile", profile)
            stack.callback(trace.close)
            try:
                finished = loop(trainer, run.steps, recorder, validator, saver, stop, trace)
            except NotFinite as fault:
                share = host_share(mesh, run.loader.batch_size)
                save = functools.partial(saver.save_now, trainer.done, trainer.state)
                raise error_of(fault, share, workdir / "data.jsonl", save) from fault
            if not finished:
                multihost.print_once(f"{stop.reason}: saved step {trainer.done}, the same command continues from there")
                return stop.status
            if not export:
                return 0
        _export(run, plan, trainer, loader, workdir)
    return 0


def _open_data(run: RunConfig, plan: RunPlan, workdir: Path, *, export_only: bool) -> Loader:
    """The loader of a run, without the clips that earlier starts excluded; a new run gets its report on the data."""
    excluded = () if export_only else excluded_clips(run.loader.journal)
    announce_excluded(excluded, run.loader.journal)
    report = None if export_only or (workdir / REPORT).exists() else workdir
    return open_loader(run.data, dataclasses.replace(run.loader, excluded=excluded), plan.models, plan.mesh, report)


def _export(run: RunConfig, plan: RunPlan, trainer: Trainer, loader: Loader, workdir: Path) -> None:
    """Write the model and print where it is."""
    count = max(4, min(run.steps, -(-MEASURED_ON // run.loader.batch_size)))
    unseen = (on_devices(next(loader), plan.mesh) for _ in range(count))
    folder = export_models(workdir / "export", plan.models, trainer.averaged, trainer.frozen, unseen, run.model.source)
    if multihost.is_chief():
        multihost.print_once(f"step {trainer.done}: model written to {folder}{what_lacks(folder)}")


class Stepped(NamedTuple):
    """What a step leaves to be recorded.

    Attributes:
      metrics: still on the devices.
      waited: seconds that its batch was waited for.
      clips: names of this process's rows of the batch.
      unread: captions among them that the model does not read completely.
    """

    metrics: Metrics
    waited: float
    clips: list[str]
    unread: int


@dataclasses.dataclass
class Trainer:
    """A run between two steps.

    Attributes:
      plan: of the run.
      loader: of batches.
      state: what training changes.
      frozen, encoder_weights: what it does not.
      base_key: of all random numbers of the steps.
      done: steps done.
    """

    plan: RunPlan
    loader: Loader
    state: TrainState
    frozen: trees.Tree
    encoder_weights: trees.Tree
    base_key: jax.Array
    done: int

    @property
    def averaged(self) -> trees.Tree:
        """Trained weights to look at and to export: their moving average, if there is one."""
        return self.state.ema or self.state.params

    @property
    def versions(self) -> dict[str, trees.Tree]:
        """Weights to validate by the end of their metrics' names: `averaged` without one, the others ``raw``."""
        return {"": self.averaged} if self.state.ema is None else {"": self.state.ema, "raw": self.state.params}

    def step(self) -> Stepped:
        """One step."""
        begin = time.perf_counter()
        loaded = next(self.loader)
        batch = on_devices(loaded, self.plan.mesh)
        waited = time.perf_counter() - begin
        with jax.transfer_guard("disallow"):
            encoded = self.plan.encode(self.encoder_weights, batch, self.base_key, self.state.step)
            self.state, metrics = self.plan.train_step(self.state, self.frozen, encoded, self.base_key)
        self.done += 1
        return Stepped(metrics, waited, [str(name) for name in loaded["id"]], int(np.sum(loaded.get("unread", 0))))


def begin(run: RunConfig, plan: RunPlan, saver: Saver, loader: Loader) -> tuple[Trainer, jax.Array]:
    """The run before its first step, or where its newest checkpoint ends; and the key of validation."""
    init_key, base_key, picture_key = multihost.keys(run.seed, 3, sharding.replicated(plan.mesh))
    weights, encoder_weights = starting_weights(run.model, plan.models, plan.mesh, init_key)
    resumed = saver.restore(plan.state) or Resumed(plan.start(weights.trainable), 0, ())
    for line in resumed.lines:
        multihost.print_once(line)
    trainer = Trainer(plan, loader, resumed.state, weights.frozen, encoder_weights, base_key, resumed.done)
    return trainer, picture_key


def make_recorder(run: RunConfig, plan: RunPlan, writer: MetricsWriter | None) -> Recorder:
    """Progress lines and metrics of a run."""
    size = (run.loader.frames, run.loader.height, run.loader.width)
    peak = peak_flops(plan.mesh.devices.flat[0].device_kind)
    return Recorder(
        writer,
        learning_rate(run.optimizer, run.steps),
        run.steps,
        run.loader.batch_size,
        plan.flops(run.loader.batch_size, *size),
        peak and peak * plan.mesh.size,
        run.log_every,
    )


def loop(
    trainer: Trainer,
    steps: int,
    recorder: Recorder,
    validator: Validator | None,
    saver: Saver,
    stop: ShutdownSignal,
    profile: Profile | None = None,
) -> bool:
    """Train until ``steps`` are done, or until the job is to stop; the last state is saved either way.

    Returns:
      Whether all steps are done.
    """
    stopping = False
    while trainer.done < steps and not stopping:
        stepped = trainer.step()
        done = trainer.done
        recorder.add(done, *stepped)
        if profile is not None:
            profile.step(trainer.state)
        stopping = saver.preempted(done) if jax.process_count() > 1 else stop.received is not None
        last = stopping or done == steps
        # a line before every checkpoint: a restart then repeats whole intervals, and none is saved with bad numbers
        if recorder.due(done) or saver.due(done) or last:
            multihost.print_once(recorder.flush())
            saver.check()
        if validator and not stopping and (validator.due(done) or last):
            validator.run(done, trainer.versions, trainer.frozen, last=last)
        if saver.due(done) or last:
            saver.save(done, trainer.state, wait=last)
        recorder.pause()
    return not stopping
