"""Times the VAE against diffusers' in one process: interleaved runs, medians, ratio, peak memory.

    python -m bench.vae                     # CPU: reduced widths and size, float32
    python -m bench.vae --full              # 49 x 480 x 720, all widths, bfloat16, where a GPU is present
    python -m bench.vae --conv winograd     # another implementation of the 3-D convolution

Both sides have the same random weights. Compilation is timed by itself; PyTorch has one warm-up run.
"""

from __future__ import annotations

import argparse
import platform
import resource
import shlex
import statistics
import sys
import time
from collections.abc import Callable

import diffusers
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from convert import engine
from convert import vae as table
from vp_jax import trees
from vp_jax.errors import run_cli
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import vae

REDUCED = VAEConfig(channels=(64, 128, 128, 256), layers_per_block=1, sample_height=128, sample_width=192)


def build(cfg: VAEConfig, device: str) -> tuple[torch.nn.Module, nnx.GraphDef, trees.Tree]:
    """diffusers' model, and ours with its weights."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.config_to_torch(cfg).items()}
    values.pop("_class_name")
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderKLCogVideoX(**values).eval().requires_grad_(False)
    graphdef, abstract = trees.abstract(lambda: vae.VAE(cfg, rngs=nnx.Rngs(0)))
    weights = {name: value.numpy() for name, value in theirs.state_dict().items()}
    params = engine.to_ours(weights, table.RULES, table.IGNORED, abstract)
    theirs = theirs.to(device, getattr(torch, cfg.dtype))
    return theirs, graphdef, jax.device_put(trees.cast(params, cfg.param_dtype))


def median_seconds(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median time of every run; the runs take turns, so that a slow spell of the machine hits all."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def describe(cfg: VAEConfig, device: str, shape: tuple[int, ...]) -> None:
    """Machine, versions, size, command."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    print(f"machine   {name}, torch threads {torch.get_num_threads()}, jax {jax.devices()}")
    print(f"versions  jax {jax.__version__}, torch {torch.__version__}, diffusers {diffusers.__version__}")
    print(f"size      frames, height, width {shape}, widths {cfg.channels}, layers {cfg.layers_per_block}, "
          f"{cfg.dtype}, conv {cfg.conv}")
    print(f"command   python -m bench.vae {shlex.join(sys.argv[1:])}")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="49x480x720 at full width in bfloat16")
    parser.add_argument("--size", type=int, nargs=3, metavar=("F", "H", "W"), help="clip, default 17 128 192")
    parser.add_argument("--conv", default=VAEConfig().conv, help="taps, winograd or xla")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each, default 5")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    full = dict(dtype="bfloat16", param_dtype="bfloat16", conv=args.conv)
    fields = VAEConfig(**full) if args.full else VAEConfig(**{**vars(REDUCED), "conv": args.conv})
    F, H, W = shape = tuple(args.size or ((49, 480, 720) if args.full else (17, 128, 192)))
    describe(fields, device, shape)
    theirs, graphdef, params = build(fields, device)
    video = np.random.default_rng(0).uniform(-1, 1, (1, F, H, W, 3)).astype(np.float32)
    first = torch.from_numpy(np.moveaxis(video, -1, 1).copy()).to(device, getattr(torch, fields.dtype))
    clip = jnp.asarray(video)

    def encode(params: trees.Tree, x: jax.Array) -> vae.Posterior:
        return nnx.merge(graphdef, params).encode(x)

    def decode(params: trees.Tree, z: jax.Array) -> jax.Array:
        return nnx.merge(graphdef, params).decode(z)

    def torch_run(function: Callable[[torch.Tensor], object], x: torch.Tensor) -> Callable[[], object]:
        def run() -> object:
            with torch.no_grad():
                result = function(x)
            if device == "cuda":
                torch.cuda.synchronize()
            return result
        return run

    latents = jax.eval_shape(encode, params, clip).mean_BThwC.shape
    z = np.random.default_rng(1).standard_normal(latents).astype(np.float32)
    z_first = torch.from_numpy(np.moveaxis(z, -1, 1).copy()).to(device, getattr(torch, fields.dtype))
    for name, function, x, theirs_run in (
            ("encode", encode, clip, torch_run(theirs.encode, first)),
            ("decode", decode, jnp.asarray(z), torch_run(theirs.decode, z_first))):
        start = time.perf_counter()
        compiled = jax.jit(function).lower(params, x).compile()
        compile_s = time.perf_counter() - start
        runs = {"jax": lambda c=compiled, x=x: jax.block_until_ready(c(params, x)), "torch": theirs_run}
        median_seconds(runs, 1)
        seconds = median_seconds(runs, args.repeats)
        memory = compiled.memory_analysis()
        print(f"{name}    jax {seconds['jax']:.3f} s, diffusers {seconds['torch']:.3f} s, "
              f"ratio {seconds['jax'] / seconds['torch']:.2f} (compiled in {compile_s:.1f} s); "
              f"jax temporaries {memory.temp_size_in_bytes / 2**20:.0f} MiB, "
              f"arguments {memory.argument_size_in_bytes / 2**20:.0f} MiB")
    if device == "cuda":
        print(f"torch peak on the GPU {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak resident memory of the process, both sides: {peak:.0f} MiB")


if __name__ == "__main__":
    run_cli(main)
