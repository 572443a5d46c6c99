"""The VAE next to that of diffusers, in one process: interleaved runs, medians, ratio, peak memory.

    python -m bench.vae                     # CPU: reduced widths and size, float32
    python -m bench.vae --full              # 49 x 480 x 720, all widths, bfloat16, where a GPU is present
    python -m bench.vae --conv winograd     # another implementation of the 3-D convolution

Both sides have the same random weights. Compilation is timed separately; PyTorch has one warm-up run.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import tests.torchvision_operators  # noqa: F401  isort: skip
import diffusers
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from bench import timing
from vp_jax import trees
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.convert import engine
from vp_jax.convert import vae as table
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import vae
from vp_jax.models.vae.convs import choose_conv

REDUCED = VAEConfig(channels=(64, 128, 128, 256), layers_per_block=1, sample_height=64, sample_width=96)


def build(cfg: VAEConfig, device: str) -> tuple[torch.nn.Module, nnx.GraphDef, trees.Tree]:
    """The model of diffusers with random weights, and ours with the same weights."""
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in table.config_to_torch(cfg).items()}
    values.pop("_class_name")
    torch.manual_seed(0)
    theirs = diffusers.AutoencoderKLCogVideoX(**values).eval().requires_grad_(False)
    graphdef, abstract = trees.abstract(lambda: vae.VAE(cfg, rngs=nnx.Rngs(0)))
    weights = {name: value.numpy() for name, value in theirs.state_dict().items()}
    params = engine.to_ours(weights, table.RULES, table.IGNORED, abstract)
    if (device, cfg.dtype) != ("cpu", "float32"):
        theirs = theirs.to(device, getattr(torch, cfg.dtype))
    return theirs, graphdef, jax.device_put(trees.cast(params, cfg.param_dtype))


def main() -> None:
    """Command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="49x480x720 at full width in bfloat16")
    parser.add_argument("--wide", action="store_true", help="all widths and layers at the reduced size, float32")
    parser.add_argument("--size", type=int, nargs=3, metavar=("F", "H", "W"), help="clip, default 17 64 96")
    parser.add_argument("--conv", default=VAEConfig().conv, help="auto, taps, winograd or xla")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each, default 5")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    cfg = dataclasses.replace(VAEConfig() if args.full or args.wide else REDUCED, conv=args.conv)
    if args.full:
        cfg = dataclasses.replace(cfg, dtype="bfloat16", param_dtype="bfloat16")
    F, H, W = tuple(args.size or ((49, 480, 720) if args.full else (17, 64, 96)))
    print(timing.busy_machine())
    print(timing.command())
    conv = choose_conv(cfg.conv, dtype=cfg.dtype)
    print(f"widths {cfg.channels}, layers {cfg.layers_per_block}, {cfg.dtype}, conv {conv}")
    theirs, graphdef, params = build(cfg, device)
    video = np.random.default_rng(0).uniform(-1, 1, (1, F, H, W, 3)).astype(np.float32)
    first = torch.from_numpy(np.moveaxis(video, -1, 1).copy()).to(device, getattr(torch, cfg.dtype))
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
    z_first = torch.from_numpy(np.moveaxis(z, -1, 1).copy()).to(device, getattr(torch, cfg.dtype))
    for name, function, x, theirs_run in (
        ("encode", encode, clip, torch_run(theirs.encode, first)),
        ("decode", decode, jnp.asarray(z), torch_run(theirs.decode, z_first)),
    ):
        start = time.perf_counter()
        compiled = jax.jit(function).lower(params, x).compile()
        compile_s = time.perf_counter() - start
        runs = {"vp_jax": lambda c=compiled, x=x: jax.block_until_ready(c(params, x)), "diffusers": theirs_run}
        seconds = timing.interleaved(runs, runs=args.repeats)
        memory = compiled.memory_analysis()
        print(timing.report(f"{name} {F} frames of {H}x{W}", seconds, "vp_jax", "diffusers"))
        print(
            f"  compiled in {compile_s:.1f} s; vp_jax temporaries {memory.temp_size_in_bytes / 2**20:.0f} MiB, "
            f"arguments {memory.argument_size_in_bytes / 2**20:.0f} MiB"
        )
    if device == "cuda":
        print(f"torch peak on the GPU {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")
    print(f"process peak, both sides: {timing.peak_host_bytes() / 2**20:.0f} MiB")


if __name__ == "__main__":
    run_cli(main)
