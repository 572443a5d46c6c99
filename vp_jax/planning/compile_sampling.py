"""The programs of sampling compiled for devices you do not have: memory, operations, collectives, roofline.

One window of the model's own size with classifier-free guidance. By default the two halves of guidance are divided over
``data`` where the number of devices is even, and the sequence over ``context``. All weights of sampling stay on the
devices from start to end, next to whatever program runs; those of T5 come and go. `vp_jax.planning.devices` lists the
devices and the extras that hold their compilers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vp_jax import sharding
from vp_jax.planning import report
from vp_jax.planning.case import Case
from vp_jax.planning.devices import GB, Target, target
from vp_jax.planning.programs import SAMPLE
from vp_jax.planning.report import Report

DEFAULT = ("text", "encode_image", "encode", "step", "decode_first", "decode_next")


def sampling_reports(
    goal: Target,
    mesh: Mapping[str, int],
    programs: Sequence[str] = DEFAULT,
    *,
    model: str = "cogvideox-5b-i2v",
    precision: str = "bfloat16",
    weights: str = "",
    say: Callable[[str], None] = print,
) -> list[Report]:
    """Compile programs of sampling and report what they take.

    Args:
      goal: devices, from `vp_jax.planning.devices.target`.
      mesh: sizes by axis, see `vp_jax.sharding.make_mesh`.
      programs: names of `vp_jax.planning.programs.SAMPLE`; those that the model does not have are left out.
      model: of `vp_jax.models.variants`.
      precision: ``bfloat16`` or ``float32``.
      weights: ``int8`` for blocks in 8 bits.
      say: prints a line.

    Raises:
      UserError: a mesh that does not fit the devices.
    """
    devices = sharding.make_mesh(mesh, goal.devices)
    case = Case(devices, goal.platform, model, precision, weights=weights)
    kind, sizes = goal.devices[0].device_kind, dict(devices.shape)
    types = f"{precision} with {weights} blocks" if weights else precision
    say(f"{goal.name}: {len(goal.devices)} x {kind}, mesh {sizes}, {model}, {types}")
    reports = []
    for name in programs:
        prepared = SAMPLE[name].prepare(case)
        if prepared is None:
            say(f"{name}: {model} has no such part")
            continue
        reports.append(report.compile_report(name, prepared, devices, goal.options))
        for line in report.lines(reports[-1], goal):
            say(line)
    return reports


def compile_sampling(
    where: str,
    programs: Sequence[str] = DEFAULT,
    *,
    mesh: str = "",
    model: str = "cogvideox-5b-i2v",
    precision: str = "bfloat16",
    weights: str = "",
    say: Callable[[str], None] = print,
) -> int:
    """Compile programs of sampling for devices by name and report whether they fit.

    Args:
      where: see `vp_jax.planning.devices`.
      programs: see `sampling_reports`.
      mesh: ``AXIS=SIZE,AXIS=SIZE``; empty: `vp_jax.sharding.sampling_sizes`.
      model: name of a model.
      precision: compute type.
      weights: ``int8`` for blocks in 8 bits.
      say: prints a line.

    Returns:
      Exit status: 0 if they fit, 1 if not.

    Raises:
      UserError: unknown devices, a compiler that is not installed, or a mesh that does not fit.
    """
    goal = target(where)
    sizes = sharding.sizes_of(mesh) if mesh else sharding.sampling_sizes(len(goal.devices))
    reports = sampling_reports(goal, sizes, programs, model=model, precision=precision, weights=weights, say=say)
    text, worst = report.verdict(reports, goal)
    say(text if worst is None else f"{text}: {worst.name} takes {worst.too_big or f'{worst.total / GB:.2f} GB'}")
    return int(worst is not None)
