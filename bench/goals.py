"""Times and peak memory of the programs that users wait for, on this machine's accelerator: JSON, and tables from it.

    python -m bench.goals                          the 5B model in bfloat16; needs a GPU of 80 GB
    python -m bench.goals --model nano --rehearse  nano on a CPU: does every part run?
    python -m bench.goals --tables                 tables of bench/results into docs/performance.md

Weights and inputs are random. A program is compiled, run once, and then timed; after ``--budget`` seconds no further
program is begun. The JSON names those that were left out, and those that failed with the reason. `bench/gpu.sh` runs
this and the comparisons with diffusers.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bench.timing import machine
from vp_jax import sharding
from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.planning import sampling
from vp_jax.planning.case import Case, Prepared
from vp_jax.planning.devices import target
from vp_jax.planning.programs import PROGRAMS
from vp_jax.training import flops

RESULTS, PAGE = Path("bench/results"), Path("docs/performance.md")
BEGIN, END = "<!-- bench.goals -->", "<!-- end of bench.goals -->"
ORDER = ("dit", "step", "step+id", "decode_next", "encode", "step+id+previous", "branch/train_step")
ORDER += ("id_adapter/train_step", "decode_first", "encode_image", "text")
CHUNKS, STEPS = 5, 50
"""Chunks of a window's decoding after the first, and denoising steps of a sample."""


def dit(case: Case) -> Prepared:
    """The backbone alone, both halves of guidance: what a step would be without the context encoder."""
    made = sampling.sampler(case)
    models, clip = made.program.models, made.latents.video_BThwC
    cfg = models.backbone_cfg
    latents = case.array(2, *clip.shape[1:4], cfg.in_channels, dtype=jnp.dtype(cfg.dtype))
    words = case.array(2, cfg.max_text_len, cfg.text_dim, dtype=jnp.dtype(cfg.dtype))

    def forward(params: Any, latents: jax.Array, words: jax.Array, t_B: jax.Array) -> jax.Array:
        model: Callable[..., Any] = nnx.merge(models.graphs[0], params)
        return model(latents, words, t_B).sample

    return Prepared(jax.jit(forward), (made.params["backbone"], latents, words, case.array(2)), {}, case.attention)


def random_arrays(tree: Any) -> Any:
    """Arrays in place of shapes: small normal numbers, fifths of True, zeros for whole numbers."""
    rng = np.random.default_rng(0)

    def made(leaf: Any) -> Any:
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.device_put(jax.random.key(0), leaf.sharding)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            draw = jax.jit(
                lambda key: (0.02 * jax.random.normal(key, leaf.shape, jnp.float32)).astype(leaf.dtype),
                out_shardings=leaf.sharding,
            )
            return draw(jax.random.key(int(rng.integers(1 << 31))))
        values = rng.random(leaf.shape) < 0.2 if leaf.dtype == jnp.bool_ else np.zeros(leaf.shape)
        return jax.device_put(values.astype(leaf.dtype), leaf.sharding)

    return jax.tree.map(made, tree, is_leaf=lambda x: isinstance(x, jax.ShapeDtypeStruct))


def measured(prepared: Prepared, case: Case, runs: int) -> dict[str, Any]:
    """Compile a program, run it once, and time it."""
    with jax.set_mesh(case.mesh):
        begin = time.perf_counter()
        memory = prepared.function.lower(*prepared.arguments, **prepared.static).compile().memory_analysis()
        compiled, seconds = time.perf_counter() - begin, []
        arguments = list(random_arrays(prepared.arguments))
        for _ in range(1 + runs):
            begin = time.perf_counter()
            out = jax.block_until_ready(prepared.function(*arguments, **prepared.static))
            seconds.append(time.perf_counter() - begin)
            arguments = _following(arguments, out)
    return {
        "seconds": [round(value, 5) for value in seconds[1:]],
        "median": round(statistics.median(seconds[1:]), 5),
        "compile_seconds": round(compiled, 2),
        "arguments": memory.argument_size_in_bytes,
        "outputs": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "peak": (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use"),
    }


def _following(arguments: list[Any], out: Any) -> list[Any]:
    """Arguments of the next call: what was donated is replaced by what came out in its place."""
    gone = [any(getattr(x, "is_deleted", bool)() for x in jax.tree.leaves(argument)) for argument in arguments]
    outs = list(out) if isinstance(out, tuple) else [out]
    for place, was_donated in enumerate(gone):
        if was_donated:
            like = jax.tree.structure(arguments[place])
            arguments[place] = next(x for x in outs if jax.tree.structure(x) == like)
    return arguments


def run(model: str, precision: str, runs: int, budget: float) -> Iterator[dict[str, Any]]:
    """Measure the programs of `ORDER`; yields all that is known after each of them.

    Args:
      model: of `vp_jax.models.variants`.
      precision: of weights and computation.
      runs: timed calls of each.
      budget: seconds after which no program is begun.
    """
    goal, start = target("local"), time.perf_counter()
    mesh = sharding.make_mesh(sharding.sampling_sizes(1), goal.devices[:1])
    case = Case(mesh, goal.platform, model, precision)
    trained = dataclasses.replace(case, remat="save_attention")
    kind = jax.devices()[0].device_kind
    about = {"machine": machine(), "device": kind, "platform": goal.platform, "model": model, "precision": precision}
    about |= {"peak_flops": flops.peak_flops(kind)}
    rows: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for place, name in enumerate(ORDER):
        yield {**about, "rows": rows, "left_out": list(ORDER[place:]), "failed": failed, "goals": goals(rows)}
        if time.perf_counter() - start > budget:
            return
        prepare = dit if name == "dit" else PROGRAMS[name].prepare
        try:
            prepared = prepare(trained if "/" in name else case)
            if prepared is None:
                continue
            rows[name] = row = measured(prepared, case, runs)
        except Exception as error:  # the minutes on a GPU that the others took are not lost
            failed[name] = f"{type(error).__name__}: {error}"[:2000]
            print(f"{name:24} failed: {failed[name]}", flush=True)
            continue
        print(f"{name:24} {row['median']:9.4f} s   compiled in {row['compile_seconds']:.1f} s", flush=True)
    yield {**about, "rows": rows, "left_out": [], "failed": failed, "goals": goals(rows)}


def goals(rows: dict[str, Any]) -> list[dict[str, Any]]:
    """What the rows say about each goal; a goal whose programs were not run is not listed."""
    seconds = {name: row["median"] for name, row in rows.items()}
    of: dict[str, tuple[str, float, Callable[[], float]]] = {
        "G2": ("step, s", 1.45, lambda: seconds["step"]),
        "G3": ("step / backbone alone", 1.07, lambda: seconds["step"] / seconds["dit"]),
        "G4": ("step with ID adapter, own window / step", 1.10, lambda: seconds["step+id"] / seconds["step"]),
        "G5": ("the same, previous window / step", 1.30, lambda: seconds["step+id+previous"] / seconds["step"]),
        "G6": ("decode a window, s", 1.3, lambda: seconds["decode_first"] + CHUNKS * seconds["decode_next"]),
        "G7": ("encode a window, twice, s", 1.2, lambda: seconds["encode"]),
        "G8": ("a sample of 50 steps, added up, s", 75.0, lambda: _sample(seconds)),
        "G9": ("stage 1 step, no encoding, s", 2.0, lambda: seconds["branch/train_step"]),
        "G10": ("stage 2 step, no encoding, s", 3.0, lambda: seconds["id_adapter/train_step"]),
        "G11": ("largest sampling program, GB", 24.0, lambda: _gigabytes(rows, ("step", "encode", "decode_next"))),
        "G12": ("stage 1, attention saved, GB", 35.0, lambda: _gigabytes(rows, ("branch/train_step",))),
        "G13": ("compile the step, s", 120.0, lambda: rows["step"]["compile_seconds"]),
    }
    found = []
    for name, (about, most, value) in of.items():
        try:
            number = value()
        except KeyError:
            continue
        found.append({"goal": name, "about": about, "value": round(number, 4), "at_most": most, "met": number <= most})
    return found


def _sample(seconds: dict[str, float]) -> float:
    decode = seconds["decode_first"] + CHUNKS * seconds["decode_next"]
    return STEPS * seconds["step"] + seconds["encode"] + seconds.get("encode_image", 0.0) + decode


def _gigabytes(rows: dict[str, Any], names: tuple[str, ...]) -> float:
    parts = ("arguments", "outputs", "temporaries")
    return max(sum(rows[name][part] for part in parts) for name in names) / 1e9


def tables(folder: Path = RESULTS) -> str:
    """Markdown of all results of a folder."""
    lines: list[str] = []
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        gpu = found["platform"] != "cpu"
        kind = "" if gpu else "A rehearsal on a CPU: it shows that every part runs, and says nothing about a GPU. "
        lines += [f"`{path}`: {found['model']}, {found['precision']}. {kind}{found['machine']}.", ""]
        lines += ["| program | median, ms | compiled, s | arguments + temporaries, GB |", "|---|---|---|---|"]
        for name, row in found["rows"].items():
            memory = (row["arguments"] + row["temporaries"]) / 1e9
            lines.append(f"| `{name}` | {1e3 * row['median']:.1f} | {row['compile_seconds']:.1f} | {memory:.3f} |")
        lines += [f"| `{name}` | failed: {why.splitlines()[0]} | | |" for name, why in found.get("failed", {}).items()]
        lines += [f"| `{name}` | not run, the time was over | | |" for name in found.get("left_out", [])]
        if gpu:
            lines += ["", "| goal | what | value | at most |", "|---|---|---|---|"]
            lines += [f"| {g['goal']} | {g['about']} | {g['value']:.3g} | {g['at_most']:g} |" for g in found["goals"]]
        lines.append("")
    return "\n".join(lines)


def write_tables(page: Path = PAGE, folder: Path = RESULTS) -> None:
    """Replace the tables of the page. Raises `UserError` if it has no place for them."""
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise UserError(f"{page} has no lines {BEGIN} and {END}: put them where the tables belong")
    before, after = text[: text.index(BEGIN)], text[text.index(END) :]
    write_text(page, f"{before}{BEGIN}\n\n{tables(folder)}\n{after}")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cogvideox-5b-i2v")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=330.0, help="seconds after which no program is begun")
    parser.add_argument("--out", type=Path, help="default: bench/results/DEVICE.json")
    parser.add_argument("--rehearse", action="store_true", help="go on without a GPU")
    parser.add_argument("--tables", action="store_true", help="only write the tables of docs/performance.md")
    args = parser.parse_args(argv)
    if args.tables:
        write_tables()
        return
    if jax.default_backend() != "gpu" and not args.rehearse:
        raise UserError(f"no GPU here, but {jax.devices()[0].device_kind}: --model nano --rehearse runs every part")
    precision = args.precision or ("float32" if args.rehearse else "bfloat16")
    name = "rehearsal" if args.rehearse else "_".join(jax.devices()[0].device_kind.lower().split())
    out = args.out or RESULTS / f"{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    for found in run(args.model, precision, args.runs, args.budget):
        write_text(out, json.dumps(found, indent=1) + "\n")
    print(f"written  {out}")


if __name__ == "__main__":
    run_cli(functools.partial(main))
