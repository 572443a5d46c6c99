"""What ID resampling adds to a denoising step: operations of the compiled programs, and that the result is the same.

    python -m bench.id_resample                          nano, on this machine
    python -m bench.id_resample --model cogvideox-5b-i2v --target h100:1

Compiles a guided step without the adapter, with it (own window), and with the masked tokens of a previous window, and
prints the operations of each and their ratio to the first. The adapter is a LoRA that is not merged; its products are
counted apart. Nothing is run and no weights are made, so any model and any device of `vp_jax.planning.devices` will do.

cuDNN's kernels are given the number of keys in each part when they run: of the own window's two calls one does the
work for the unmasked keys, the other for the masked ones. They are counted with ``--masked``.
"""

from __future__ import annotations

from typing import NamedTuple

import jax

from vp_jax import sharding
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.models.id_resample import room_for
from vp_jax.planning import hlo, sampling
from vp_jax.planning.case import Case, Prepared
from vp_jax.planning.devices import target
from vp_jax.training import flops
from vp_jax.training.stages.id_adapter import ADAPTED_LINEARS, adapter_config

WAYS: dict[str, dict[str, bool]] = {
    "no adapter": {},
    "own window": {"adapter": True},
    "previous window": {"adapter": True, "previous": True},
}
"""Arguments of `vp_jax.planning.sampling.step`."""


class Counted(NamedTuple):
    """Operations of one step on one device, and bytes of its temporaries."""

    operations: float
    attention: float
    adapter: float
    temporaries: int


def counted(prepared: Prepared, case: Case, options: dict[str, object]) -> Counted:
    """Compile a step and count."""
    with jax.set_mesh(case.mesh):
        program = prepared.function.lower(*prepared.arguments, **prepared.static).compile(options)
    found = hlo.analyse(program.as_text(), case.mesh.size)
    cfg, inputs = case.variant.backbone, prepared.arguments[3]
    rows = 2 * (cfg.max_text_len + flops.video_tokens(cfg, *inputs.latents.video_BThwC.shape[1:4]))
    lora = adapter_config()
    products = 0.0
    if prepared.arguments[0]["loras"]:
        outer = len(ADAPTED_LINEARS) * rows
        if inputs.previous is not None:  # keys and values of the previous window's tokens
            outer += 2 * 2 * inputs.previous.states_LBSD.shape[2]
        products = cfg.num_layers * outer * 4.0 * cfg.dim * lora.rank / case.mesh.size
    total = found.matmul_flops + found.attention_flops
    return Counted(total, found.attention_flops, products, program.memory_analysis().temp_size_in_bytes)


def main() -> None:
    """Command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--target", default="local", help="devices, see vp-jax compile")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="")
    parser.add_argument("--masked", type=float, default=0.2, help="part of the video tokens that is masked")
    args = parser.parse_args()
    goal = target(args.target)
    mesh = sharding.make_mesh({"context": -1}, goal.devices)
    precision = args.precision or ("float32" if goal.platform == "cpu" else "bfloat16")
    case = Case(mesh, goal.platform, args.model, precision)
    cfg = case.variant.backbone
    sampling.MASKED = args.masked
    latents = sampling.sampler(case).latents.video_BThwC.shape[1:4]
    tokens = flops.video_tokens(cfg, *latents)
    print(
        f"{args.model}, {goal.name}, {precision}, attention {case.attention}: {tokens} video tokens, {args.masked:.0%} "
        f"masked (room for {room_for(round(args.masked * tokens))}), {cfg.num_layers} layers of width {cfg.dim}"
    )
    print(f"{'':<16} {'GFLOP':>10} {'ratio':>6} {'without the products of the LoRA':>34} {'temporaries':>12}")
    first = None
    for name, way in WAYS.items():
        found = counted(sampling.step(case, **way), case, dict(goal.options))
        first = first or found
        own = found.operations - found.adapter
        print(
            f"{name:<16} {found.operations / 1e9:>10.1f} {found.operations / first.operations:>6.3f} "
            f"{own / 1e9:>26.1f} {own / first.operations:>7.3f} {found.temporaries / 1e6:>9.0f} MB"
        )


if __name__ == "__main__":
    run_cli(main)
