"""One training step next to diffusers and PyTorch: loss, gradients of all weights, AdamW; the same random weights.

    python -m bench.train_step --size tiny      4 layers of width 128
    python -m bench.train_step --size slice     2 layers of the 5B width, 1,261 tokens

Both sides lower the mean square of the network's output, in float32, with nothing recomputed. Prints the machine,
medians of interleaved runs, the ratio, and the relative difference of the gradients.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from bench import timing
from bench.denoise import SIZES, described, print_times, random_inputs, random_params, their_call, theirs
from vp_jax import trees
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.convert import dit as table
from vp_jax.convert import engine
from vp_jax.models.config import DiTConfig
from vp_jax.models.dit import DiT

LEARNING_RATE = 1e-5


class Ours:
    """Weights, moments and the compiled step, which takes both and gives them back: ``params`` are gone after it."""

    def __init__(self, cfg: DiTConfig, params: trees.Tree, arrays: list[np.ndarray]) -> None:
        graph, _ = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
        optimizer = optax.adamw(LEARNING_RATE, weight_decay=0.01)

        def loss(p: trees.Tree, x: jax.Array, c: jax.Array, t: jax.Array) -> jax.Array:
            return jnp.mean(jnp.square(nnx.merge(graph, p)(x, c, t).sample))

        def step(state: tuple[Any, Any], *inputs: jax.Array) -> tuple[Any, Any]:
            p, moments = state
            updates, moments = optimizer.update(jax.grad(loss)(p, *inputs), moments, p)
            return optax.apply_updates(p, updates), moments

        self._loss, self._inputs = loss, [jnp.asarray(array) for array in arrays]
        self._state = (params, optimizer.init(params))
        self._step = jax.jit(step, donate_argnums=0).lower(self._state, *self._inputs).compile()
        self.temporaries = self._step.memory_analysis().temp_size_in_bytes

    def gradients(self) -> trees.Tree:
        """Gradients at the weights of now."""
        return jax.jit(jax.grad(self._loss))(self._state[0], *self._inputs)

    def __call__(self) -> None:
        """Take a step."""
        self._state = jax.block_until_ready(self._step(self._state, *self._inputs))


def their_step(model: Any, call: Callable[[], Any]) -> Callable[[], None]:
    """The step of PyTorch, by its fused AdamW."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, fused=True)

    def run() -> None:
        optimizer.zero_grad()
        call().square().mean().backward()
        optimizer.step()

    return run


def difference(ours: trees.Tree, model: Any) -> float:
    """Relative L2 distance of our gradients from those that PyTorch's parameters hold."""
    names = {name: value.grad.numpy() for name, value in model.named_parameters()}
    found = engine.to_torch(jax.tree.map(np.asarray, ours), table.RULES, {n: a.shape for n, a in names.items()})
    off = sum(float(np.sum(np.square(found[name] - array, dtype=np.float64))) for name, array in names.items())
    return float(np.sqrt(off / sum(float(np.sum(np.square(a, dtype=np.float64))) for a in names.values())))


def main() -> None:
    """Command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=[name for name in SIZES if name != "full"], default="tiny")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--attention", default="", help="backend; default: the one that users get")
    args = parser.parse_args()
    cfg, size = described(args), SIZES[args.size][1]
    arrays, params = random_inputs(cfg, size), random_params(cfg)
    model = theirs(cfg, params).train()
    ours, call = Ours(cfg, params, arrays), their_call(model, cfg, arrays)
    call().square().mean().backward()
    off = difference(ours.gradients(), model)

    print(timing.busy_machine())
    print(timing.command())
    title = f"{args.size}: {cfg.num_layers} layers of width {cfg.dim}, latents {size}, {cfg.dtype}, {cfg.attention}"
    print_times(title, {"vp_jax": ours, "diffusers": their_step(model, call)}, args.runs)
    print(
        f"  gradients differ by {off:.1e} (relative L2); vp_jax temporaries {ours.temporaries / 1e9:.3f} GB; "
        f"process peak {timing.peak_host_bytes() / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    run_cli(main)
