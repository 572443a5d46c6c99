"""What the steps between full ones take: operations of the compiled programs, and the memory of what is kept for them.

    python -m bench.hole_steps                                 nano, on this machine
    python -m bench.hole_steps --model cogvideox-5b-i2v --target h100:1

Compiles a plain step, a full step that keeps keys and values, and hole steps for several sizes of the hole, all guided,
and prints the operations of each and their ratio to the plain step. The hole is a box in the middle of the picture; the
tokens of a hole step are those of the box grown by one on each side, in a fixed number of places. Nothing is run and no
weights are made.
"""

from __future__ import annotations

import jax
import numpy as np

from vp_jax import sharding
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.models.background_cache import TOKENS_AROUND, room_near
from vp_jax.planning import hlo, sampling
from vp_jax.planning.case import Case, Prepared, bytes_of
from vp_jax.planning.devices import target
from vp_jax.training import flops

SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Parts of the picture that are masked."""


def near_box(rows: int, columns: int, share: float) -> float:
    """Part of the tokens that are near a box of ``share`` of the picture."""
    sides = [min(int(np.ceil(side * share**0.5)) + 2 * TOKENS_AROUND, side) for side in (rows, columns)]
    return sides[0] * sides[1] / (rows * columns)


def counted(prepared: Prepared, case: Case, options: dict[str, object]) -> tuple[float, int]:
    """Operations of a step and bytes of its temporaries."""
    with jax.set_mesh(case.mesh):
        program = prepared.function.lower(*prepared.arguments, **prepared.static).compile(options)
    found = hlo.analyse(program.as_text(), case.mesh.size)
    return found.matmul_flops + found.attention_flops, program.memory_analysis().temp_size_in_bytes


def main() -> None:
    """Command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--target", default="local", help="one device, see vp-jax compile")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="")
    args = parser.parse_args()
    goal = target(args.target)
    mesh = sharding.make_mesh({}, goal.devices)
    precision = args.precision or ("float32" if goal.platform == "cpu" else "bfloat16")
    case = Case(mesh, goal.platform, args.model, precision)
    cfg = case.variant.backbone
    T, h, w = sampling.sampler(case).latents.video_BThwC.shape[1:4]
    tokens = flops.video_tokens(cfg, T, h, w)
    ways: dict[str, tuple[str, Prepared | None]] = {
        "plain step": ("", sampling.step(case)),
        "full step": ("", sampling.near_step(case, hole=False)),
    }
    for share in SHARES:
        near = near_box(h // cfg.patch, w // cfg.patch, share)
        places = f"{room_near(round(near * tokens), tokens) / tokens:.0%}"
        ways[f"hole step, {share:.0%}"] = places, sampling.near_step(case, hole=True, masked=near)
    print(f"{args.model}, {goal.name}, {precision}, attention {case.attention}: {tokens} video tokens")
    hole = ways[f"hole step, {SHARES[0]:.0%}"][1]
    assert hole is not None
    print(f"kept between full steps: {bytes_of(hole.arguments[-1]) / 1e9:.3g} GB")
    print(f"{'':<18} {'tokens':>7} {'GFLOP':>10} {'ratio':>6} {'temporaries':>14}")
    first = 0.0
    for name, (places, prepared) in ways.items():
        assert prepared is not None
        operations, temporaries = counted(prepared, case, dict(goal.options))
        first = first or operations
        ratio = operations / first
        print(
            f"{name:<18} {places:>7} {operations / 1e9:>10.1f} {ratio:>6.3f} {temporaries / 1e6:>11.0f} MB", flush=True
        )


if __name__ == "__main__":
    run_cli(main)
