"""The real training step compiled for devices you do not have: ``train.py --compile_only v4:4x4x4`` or ``h100:8``.

Reports whether a run fits and what it costs before devices are paid for. `vp_jax.planning.devices` lists them and the
extras that hold their compilers. The programs of sampling: `vp_jax.planning.compile_sampling`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jax.sharding import Mesh

from vp_jax import sharding
from vp_jax.planning import report, training
from vp_jax.planning.devices import Target, target
from vp_jax.planning.report import Report


def compile_only(config: Any, where: str, say: Callable[[str], None] = print) -> int:
    """Compile the step of a run for ``where`` and report what it takes.

    Args:
      config: settings of a run, see configs/common.py.
      where: see `vp_jax.planning.devices.target`.
      say: prints a line.

    Returns:
      Exit status: 0 if it fits, 1 if not.
    """
    goal = target(where)
    run = training.Run.of_config(config)
    mesh = sharding.make_mesh(config.mesh, goal.devices)
    reports, model_flops = step_reports(run, goal, mesh)
    say(
        f"{goal.name}: {len(goal.devices)} x {goal.devices[0].device_kind}, mesh {dict(mesh.shape)}, "
        f"batch {run.batch}, {run.model.stage}"
    )
    for found in reports:
        for line in report.lines(found, goal, model_flops if found.name == "train_step" else None):
            say(line)
    text, worst = report.verdict(reports, goal)
    say(text if worst is None else f"{text}: {suggestion(run, worst, dict(mesh.shape))}")
    return int(worst is not None)


def step_reports(run: training.Run, goal: Target, mesh: Mesh) -> tuple[list[Report], float | None]:
    """The compiled programs of a step, in the order they run, and the operations the model needs per device."""
    found = training.programs(run, mesh, goal.platform)
    parts = {"encode": found.encode} if run.online else {}
    parts["train_step"] = found.train_step
    reports = [report.compile_report(name, part, mesh, goal.options) for name, part in parts.items()]
    return reports, found.model_flops


def suggestion(run: training.Run, worst: Report, mesh: dict[str, int]) -> str:
    """What to change first when ``worst`` does not fit."""
    if worst.name == "encode":
        return "model.vae_slicing=True, or latent shards (data.kind=latents), which leave VAE and T5 out of the loop"
    if not run.model.remat:
        return "model.remat=nothing_saveable keeps block inputs only"
    if worst.arguments > worst.temporaries and not worst.too_big:
        return "more devices for the weights: a larger mesh.fsdp or mesh.context, or a larger slice"
    if run.batch // run.step.accumulate > math.prod(mesh.get(axis, 1) for axis in sharding.BATCH):
        return "fewer examples at a time: a smaller loader.batch_size, or a larger step.accumulate"
    return "divide the sequence: a larger mesh.context, on a larger slice"
