"""Attention of this machine's default backend next to PyTorch's fused kernel: same inputs, in one process, in turn.

    python -m bench.attention                            the shapes of the table in docs/performance.md
    python -m bench.attention --shape 1 1261 48 64       batch, tokens, heads, values per head
    python -m bench.attention --gradient                 forward and backward

Prints times (see `bench.timing`), the largest difference of the results and the temporary memory of every backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch

from bench import timing
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.models import attention

SHAPES = [(1, 1261, 48, 64), (1, 1261, 12, 64), (16, 264, 6, 32), (2, 514, 2, 64), (16, 144, 6, 32)]
"""A slice of the 5B model, a quarter of its heads, nano's tokens and text, the tiny model, nano in training."""


def ours(backend: str, arrays: list[np.ndarray], gradient: bool) -> Any:
    """Compiled attention, or with its three gradients."""

    def run(q: jax.Array, k: jax.Array, v: jax.Array, weight: jax.Array) -> Any:
        if not gradient:
            return [attention.attend(q, k, v, backend=backend)]
        return jax.vjp(lambda *a: attention.attend(*a, backend=backend), q, k, v)[1](weight)

    return jax.jit(run).lower(*arrays).compile()


def theirs(arrays: list[np.ndarray], gradient: bool) -> Callable[[], list[torch.Tensor]]:
    """PyTorch's kernel on the same arrays."""
    q, k, v, weight = (torch.from_numpy(a.swapaxes(1, 2).copy()).requires_grad_(gradient) for a in arrays)

    def run() -> list[torch.Tensor]:
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return list(torch.autograd.grad(out, (q, k, v), weight)) if gradient else [out]

    return run


def main() -> None:
    """Command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=4, metavar=("B", "S", "K", "A"))
    parser.add_argument("--gradient", action="store_true")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--backends", nargs="+", default=["xla", "chunked", "heads"])
    args = parser.parse_args()
    print(timing.busy_machine())
    print(timing.command())
    for shape in [tuple(args.shape)] if args.shape else SHAPES:
        rng = np.random.default_rng(0)
        arrays = [rng.standard_normal(shape, np.float32) for _ in range(4)]
        other = theirs(arrays, args.gradient)
        want = [x.detach().numpy().swapaxes(1, 2) for x in other()]
        for backend in args.backends:
            program = ours(backend, arrays, args.gradient)
            error = max(np.abs(np.asarray(a) - b).max() for a, b in zip(program(*arrays), want))
            pair = {backend: lambda p=program, a=arrays: jax.block_until_ready(p(*a)), "torch": other}
            what = "forward and backward" if args.gradient else "forward"
            print(timing.report(f"{shape} {what}", timing.interleaved(pair, runs=args.runs), backend, "torch"))
            size = program.memory_analysis().temp_size_in_bytes / 1e6
            print(f"  results differ by {error:.0e}, temporaries {size:.0f} MB", flush=True)


if __name__ == "__main__":
    run_cli(main)
