"""The real training step compiled for devices that are not there: ``train.py --compile_only v4:4x4x4``.

Says whether a run fits and what it costs before a pod is asked for. TPU programs need the extra ``aot`` (libtpu, which
holds the TPU compiler and needs no TPU); ``local`` compiles for this machine's devices. Two programs make a step,
VAE and T5 (`vp_jax.training.encode`) unless latent shards replace them, and the training step itself; while one runs,
the other's weights stay in memory.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh

from vp_jax import sharding
from vp_jax.data.batches import PixelBatch
from vp_jax.errors import UserError
from vp_jax.planning import hlo
from vp_jax.runs.plan import make_plan
from vp_jax.training import flops
from vp_jax.training.models import ModelConfig, TrainingModels
from vp_jax.training.optim import OptimConfig
from vp_jax.training.step import StepConfig

GB = 1e9


@dataclasses.dataclass(frozen=True)
class Chip:
    """Makers' data of one chip.

    Attributes:
      hbm: GB of memory.
      peak: dense bfloat16 operations per second.
      links: bytes per second to the other chips, all links together.
      fill: share of the matrix unit that attention with 64 values per head can use.
      options: what the topology description needs besides its name.
    """

    hbm: float
    peak: float
    links: float
    fill: float
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


CHIPS = {
    "v4": Chip(
        32, 275e12, 300e9, 0.5, {"chip_config_name": "megacore", "chips_per_host_bounds": (2, 2, 1), "num_slices": 1}
    ),
    "v5e": Chip(16, 197e12, 200e9, 0.5),
    "v5p": Chip(95, 459e12, 600e9, 0.5),
    "v6e": Chip(32, 918e12, 448e9, 0.25),
}


class Target(NamedTuple):
    """Devices to compile for; ``chip`` is ``None`` where its data are not known."""

    name: str
    platform: str
    devices: Sequence[Any]
    chip: Chip | None
    hbm: float | None


@dataclasses.dataclass(frozen=True)
class Report:
    """One program on one chip, bytes and operations. ``needed`` is memory beside it while it runs.

    Attributes:
      too_big: the compiler's own words where it gave up for want of memory; the other numbers are then 0.
    """

    name: str
    arguments: int = 0
    temporaries: int = 0
    outputs: int = 0
    resident: int = 0
    seconds: float = 0.0
    program: hlo.Program | None = None
    squares: tuple[str, ...] = ()
    too_big: str = ""

    @property
    def total(self) -> int:
        """Bytes in use while the program runs; outputs that take the place of donated arguments count once."""
        return self.arguments + self.temporaries + self.outputs + self.resident


def target(where: str) -> Target:
    """Devices of ``local`` or of a TPU topology such as ``v4:4x4x4``, which need not exist.

    Raises:
      UserError: unknown chip or topology, or no TPU compiler.
    """
    if where == "local":
        devices = jax.devices()
        limit = (devices[0].memory_stats() or {}).get("bytes_limit")
        peak = flops.peak_flops(devices[0].device_kind)
        chip = Chip(limit / GB, peak, float("inf"), 1.0) if limit and peak else None
        return Target(
            f"{len(devices)} x {devices[0].device_kind}", devices[0].platform, devices, chip, limit and limit / GB
        )
    name = where.partition(":")[0]
    if name not in CHIPS:
        raise UserError(
            f"compile_only {where!r}: expected 'local' or a chip and its grid, such as v4:4x4x4, "
            f"v5p:2x2x4, v6e:8x8; chips: {', '.join(CHIPS)}"
        )
    for key, value in (
        ("TPU_SKIP_MDS_QUERY", "1"),
        ("TPU_ACCELERATOR_TYPE", ""),
        ("TPU_WORKER_HOSTNAMES", "localhost"),
        ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
    ):
        os.environ.setdefault(key, value)
    chip = CHIPS[name]
    grid = where.partition(":")[2]
    topology = f"v5:{grid}" if name == "v5p" else where
    try:
        described = topologies.get_topology_desc(platform="tpu", topology_name=topology, **chip.options)
    except Exception as error:  # whatever the compiler's library raises: it is absent, or knows no such grid
        raise UserError(
            f"compile_only {where!r}: {' '.join(str(error).split())[:200]}; the TPU compiler comes with "
            f"pip install 'vp_jax[aot]', grids are as in Google's tables (v4 and v5p: AxBxC)"
        ) from error
    return Target(where, "tpu", described.devices, chip, chip.hbm)


def compile_only(config: Any, where: str, say: Callable[[str], None] = print) -> int:
    """Compile the step of a run for ``where`` and say what it takes.

    Args:
      config: settings of a run, see configs/common.py.
      where: see `target`.
      say: prints a line.

    Returns:
      Exit status: 0 if it fits, 1 if not.
    """
    goal = target(where)
    reports, model_flops = programs(config, goal)
    say(
        f"{goal.name}: {len(goal.devices)} x {goal.devices[0].device_kind}, mesh "
        f"{dict(sharding.make_mesh(config.mesh, goal.devices).shape)}, batch {config.loader.batch_size}, "
        f"{config.model.stage}"
    )
    for report in reports:
        for line in lines(report, goal, model_flops if report.name == "train_step" else None):
            say(line)
    if goal.hbm is None:
        say("memory of this device is not known: nothing to compare with")
        return 0
    worst = max(reports, key=lambda report: (bool(report.too_big), report.total))
    if not worst.too_big and worst.total <= goal.hbm * GB:
        say(f"fits: {worst.total / GB:.2f} of {goal.hbm:g} GB per chip")
        return 0
    say(f"does not fit {goal.hbm:g} GB per chip: {suggestion(config, worst, len(goal.devices))}")
    return 1


def programs(config: Any, goal: Target) -> tuple[list[Report], float | None]:
    """The compiled programs of a step, in the order they run, and the operations the model needs per chip."""
    size = (config.loader.frames, config.loader.height, config.loader.width)
    mesh = sharding.make_mesh(config.mesh, goal.devices)
    plan = make_plan(
        ModelConfig(**config.model),
        OptimConfig(**config.optimizer),
        StepConfig(**config.step),
        size,
        steps=config.steps,
        ema=config.ema,
        mesh=mesh,
        platform=goal.platform,
    )
    frozen = sharding.placed(plan.models.stage.shapes().frozen, mesh)
    key = sharding.shapes_at(jax.eval_shape(lambda: jax.random.key(0)), sharding.replicated(mesh))
    batch, loaded = batch_shapes(config.loader.batch_size, size, plan.models, mesh)
    encoder_weights = sharding.placed(plan.models.encoders.shapes(), mesh)
    online = config.data.kind != "latents"
    state, resident = plan.state, _bytes((plan.state, frozen))
    reports = []
    if online:
        reports.append(report("encode", mesh, resident, plan.encode, encoder_weights, loaded, key, state.step))
    resident = _bytes(encoder_weights) if online else 0
    reports.append(report("train_step", mesh, resident, plan.train_step, state, frozen, batch, key))
    model_flops = plan.flops(config.loader.batch_size, *size)
    return reports, model_flops and model_flops / mesh.size


def batch_shapes(
    batch_size: int, size: tuple[int, int, int], models: TrainingModels, mesh: Mesh
) -> tuple[Any, PixelBatch]:
    """What the step trains on, and what the loader gives for clips of this size: shapes on the mesh."""
    clips = (batch_size, *size)
    arrays: Any = (
        ((*clips, 3), jnp.uint8),
        (clips, jnp.uint8),
        ((batch_size,), jnp.float32),
        ((batch_size,), jnp.float32),
        ((batch_size, models.text_len), jnp.int32),
    )
    loaded: Any = PixelBatch._make(jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in arrays)
    inputs = functools.partial(models.stage.inputs, models.encoders)
    batch = jax.eval_shape(inputs, models.encoders.shapes(), loaded, jax.eval_shape(lambda: jax.random.key(0)))
    batch, loaded = (sharding.shapes_at(x, sharding.batch_shardings(x, mesh)) for x in (batch, loaded))
    return batch, loaded


def report(name: str, mesh: Mesh, resident: int, function: Any, *args: Any) -> Report:
    """Compile ``function`` for shapes on ``mesh`` and read off what it takes on one chip."""
    start = time.perf_counter()
    try:
        with jax.set_mesh(mesh):
            compiled = function.lower(*args).compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) or "hbm" not in str(error).lower():
            raise  # a kernel whose blocks are too large for the vector memory is our fault, not the run's
        used = re.search(r"Used ([\d.]+\w) of ([\d.]+\w) hbm", str(error))
        return Report(name, resident=resident, too_big=used[0] if used else str(error).splitlines()[0])
    memory, text = compiled.memory_analysis(), compiled.as_text()
    return Report(
        name,
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes,
        memory.output_size_in_bytes - memory.alias_size_in_bytes,
        resident,
        time.perf_counter() - start,
        hlo.analyse(text, mesh.size),
        tuple(hlo.square_buffers(text, 17_000)),
    )


def suggestion(config: Any, worst: Report, devices: int) -> str:
    """What to change first when ``worst`` does not fit on ``devices``."""
    if worst.name == "encode":
        return "model.vae_slicing=True, or latent shards (data.kind=latents), which leave VAE and T5 out of the loop"
    if not config.model.remat:
        return "model.remat=nothing_saveable keeps block inputs only"
    if worst.arguments > worst.temporaries and not worst.too_big:
        return "more chips for the weights: a larger mesh.fsdp or mesh.context, or a larger slice"
    sizes = [config.mesh.get(axis, 1) for axis in sharding.AXES]
    data, fsdp, *_ = (devices // -math.prod(sizes) if size == -1 else size for size in sizes)
    if config.loader.batch_size // config.step.accumulate > data * fsdp:
        return "fewer examples at a time: a smaller loader.batch_size, or a larger step.accumulate"
    return "divide the sequence: a larger mesh.context, on a larger slice"


def lines(report: Report, goal: Target, model_flops: float | None) -> list[str]:
    """What a report says; ``model_flops`` per chip, if known, stand beside those of the program."""
    if report.too_big:
        return [f"{report.name}: the compiler gave up: {report.too_big}, {report.resident / GB:.2f} GB resident beside"]
    assert report.program is not None
    program = report.program
    done = program.matmul_flops + program.attention_flops
    text = [
        f"{report.name} (compiled in {report.seconds:.0f} s)",
        f"  memory per chip: arguments {report.arguments / GB:.2f} + temporaries {report.temporaries / GB:.2f} + "
        f"outputs {report.outputs / GB:.2f} + resident beside {report.resident / GB:.2f} = "
        f"{report.total / GB:.2f} GB",
        f"  operations per chip: {done / 1e12:.1f} TFLOP, {program.attention_flops / 1e12:.1f} of them attention"
        + (f"; the model needs {model_flops / 1e12:.1f}" if model_flops else "")
        + (f"; {program.unknown_loops} loops of unknown length counted once" if program.unknown_loops else ""),
    ]
    text += [
        f"  {kind}: {traffic.times} x, {traffic.sent_bytes / GB:.2f} GB sent"
        for kind, traffic in program.collectives.items()
    ]
    text.append(f"  buffers of tokens x tokens: {', '.join(report.squares) or 'none'}")
    if goal.chip is not None:
        compute, links = roofline(program, goal.chip)
        text.append(
            f"  roofline: compute {compute:.3f} s (attention at {goal.chip.fill:.0%} of the matrix unit), "
            f"links {links:.3f} s; at best {max(compute, links):.3f} s"
        )
    return text


def roofline(program: hlo.Program, chip: Chip) -> tuple[float, float]:
    """Least seconds for the operations, and for the bytes between chips."""
    return (
        program.matmul_flops / chip.peak + program.attention_flops / (chip.peak * chip.fill),
        sum(traffic.sent_bytes for traffic in program.collectives.values()) / chip.links,
    )


def _bytes(tree: Any) -> int:
    return sharding.bytes_per_device(tree, jax.tree.map(lambda leaf: leaf.sharding, tree))
