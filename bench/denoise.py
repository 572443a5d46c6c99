"""One denoising forward pass next to diffusers: the same random weights and inputs, in one process.

    python -m bench.denoise --size tiny      4 layers of width 128
    python -m bench.denoise --size slice     2 layers of the 5B width, 1,261 tokens
    python -m bench.denoise --size full      CogVideoX-5B-I2V, 49x480x720, CFG 2, bfloat16; needs a GPU

Prints the machine, medians of interleaved runs, the ratio, the relative difference of the outputs and, for JAX, the
compiled program's temporary memory.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from bench import timing
from vp_jax import trees
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError
from vp_jax.models import attention
from vp_jax.models.config import DiTConfig
from vp_jax.models.dit import DiT
from vp_jax.models.rope import rotation

SIZES: dict[str, tuple[DiTConfig, tuple[int, int, int, int]]] = {
    # latents (B, T, h, w)
    "tiny": (DiTConfig(num_heads=2, head_dim=64, num_layers=4, text_dim=256), (2, 3, 16, 24)),
    "slice": (DiTConfig(num_heads=48, head_dim=64, num_layers=2), (1, 3, 30, 46)),
    "full": (
        DiTConfig(
            num_heads=48,
            head_dim=64,
            num_layers=42,
            in_channels=32,
            learned_positions=True,
            dtype="bfloat16",
            param_dtype="bfloat16",
        ),
        (2, 13, 60, 90),
    ),
}


def random_params(cfg: DiTConfig) -> trees.Tree:
    """Random weights on the default device, one leaf at a time: normal / 50, norms at one."""
    _, shapes = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    keys = iter(jax.random.split(jax.random.key(0), len(jax.tree.leaves(shapes))))

    def make(path: Any, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        key = next(keys)
        if path[-1].key == "scale":
            return jnp.ones(leaf.shape, leaf.dtype)
        return jax.jit(lambda k: (jax.random.normal(k, leaf.shape) / 50).astype(leaf.dtype))(key)

    return jax.tree_util.tree_map_with_path(make, shapes)


def random_inputs(cfg: DiTConfig, size: tuple[int, int, int, int]) -> list[np.ndarray]:
    """Latents of a ``size`` (B, T, h, w), text embeddings and timesteps."""
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((*size, cfg.in_channels), np.float32)
    text = rng.standard_normal((size[0], cfg.max_text_len, cfg.text_dim), np.float32)
    return [latents, text, np.full((size[0],), 500)]


def theirs(cfg: DiTConfig, params: trees.Tree) -> Any:
    """The diffusers model with the same weights, on the same kind of device."""
    import tests.torchvision_operators  # noqa: F401  isort: skip
    import torch
    from diffusers import CogVideoXTransformer3DModel

    from vp_jax.convert import dit as table
    from vp_jax.convert import engine

    with torch.device("meta"):
        model = CogVideoXTransformer3DModel(**table.config_to_torch(cfg))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    arrays = engine.to_torch(jax.tree.map(np.asarray, params), table.RULES, shapes)
    model.load_state_dict({name: _tensor(a, cfg.dtype) for name, a in arrays.items()}, assign=True)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _tensor(array: np.ndarray, dtype: str) -> Any:
    """A tensor of these numbers; bfloat16 is taken as it is, since 5 billion weights on the way would take minutes."""
    import torch

    if dtype == "bfloat16" == array.dtype.name:
        return torch.from_numpy(np.array(array, order="C").view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(np.array(array, np.float32)).to(getattr(torch, dtype))


def products(rows: int, cfg: DiTConfig, device: str) -> dict[str, Any]:
    """The largest matrix product of a block in both libraries: no model can be faster than its rate."""
    import torch

    a, b = jnp.ones((rows, cfg.dim), cfg.dtype), jnp.ones((cfg.dim, 4 * cfg.dim), cfg.dtype)
    multiply = jax.jit(jnp.matmul).lower(a, b).compile()
    x, y = (torch.ones(tuple(m.shape), dtype=getattr(torch, cfg.dtype), device=device) for m in (a, b))

    def run() -> None:
        torch.matmul(x, y)
        if x.is_cuda:
            torch.cuda.synchronize()

    return {"vp_jax": lambda: multiply(a, b).block_until_ready(), "diffusers": run}


def attentions(batch: int, tokens: int, cfg: DiTConfig, device: str) -> dict[str, Any]:
    """The attention of one block in both libraries."""
    import torch

    q = jnp.ones((batch, tokens, cfg.num_heads, cfg.head_dim), cfg.dtype)
    ours = jax.jit(lambda q: attention.attend(q, q, q, backend=cfg.attention)).lower(q).compile()
    x = torch.ones(batch, cfg.num_heads, tokens, cfg.head_dim, dtype=getattr(torch, cfg.dtype), device=device)

    def run() -> None:
        torch.nn.functional.scaled_dot_product_attention(x, x, x)
        if x.is_cuda:
            torch.cuda.synchronize()

    return {"vp_jax": lambda: ours(q).block_until_ready(), "diffusers": run}


def our_forward(cfg: DiTConfig, params: trees.Tree, inputs: list[jax.Array]) -> Any:
    """Our forward pass ``(params, *inputs) -> velocity``, compiled."""
    graph, _ = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    forward = jax.jit(lambda p, x, c, t: nnx.merge(graph, p)(x, c, t).sample)
    return forward.lower(params, *inputs).compile()


def their_call(model: Any, cfg: DiTConfig, inputs: list[np.ndarray]) -> Callable[[], Any]:
    """The network of diffusers on the same inputs."""
    import torch

    device, dtype = model.device, model.dtype
    latents, text, times = inputs
    x = torch.from_numpy(latents.transpose(0, 1, 4, 2, 3).copy()).to(device, dtype)
    c, t = torch.from_numpy(text).to(device, dtype), torch.from_numpy(times).to(device)
    _, T, h, w, _ = latents.shape
    table = rotation(T, h // 2, w // 2, cfg.head_dim, 0, stretch=True)
    rotary = tuple(torch.from_numpy(np.repeat(a, 2, axis=1)).to(device) for a in table[:2])
    return lambda: model(x, c, t, image_rotary_emb=rotary, return_dict=False)[0]


def their_forward(model: Any, cfg: DiTConfig, inputs: list[np.ndarray]) -> Callable[[], Any]:
    """The forward pass of the network of diffusers on the same inputs."""
    import torch

    call = their_call(model, cfg, inputs)

    def run() -> Any:
        with torch.inference_mode():
            out = call()
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        return out

    return run


def eager(run: Callable[[], Any]) -> Any:
    """The result of ``run``, with nothing compiled by PyTorch."""
    import torch

    with torch.compiler.set_stance("force_eager"):
        return run()


def print_times(title: str, candidates: dict[str, Any], runs: int) -> None:
    """Time the candidates in turn and print medians and their ratio."""
    print(timing.report(title, timing.interleaved(candidates, runs=runs), "vp_jax", "diffusers"))


def described(args: argparse.Namespace) -> DiTConfig:
    """Description of the requested model, with the attention backend of this machine."""
    cfg, on_gpu = SIZES[args.size][0], jax.default_backend() == "gpu"
    if args.size == "full" and not on_gpu:
        raise UserError("--size full computes 664 TFLOP a pass: expected a GPU, use --size slice here")
    backend = attention.choose(args.attention, dtype=cfg.dtype, head_dim=cfg.head_dim)
    return DiTConfig(**{**cfg.__dict__, "attention": backend})


def main() -> None:
    """Command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--attention", default="", help="backend; default: the one that users get")
    args = parser.parse_args()
    cfg, (B, T, h, w) = described(args), SIZES[args.size][1]
    arrays = random_inputs(cfg, SIZES[args.size][1])
    params, inputs = random_params(cfg), [jnp.asarray(a) for a in arrays]
    compiled = our_forward(cfg, params, inputs)

    import torch

    model = theirs(cfg, params)
    run_theirs, on_gpu = their_forward(model, cfg, arrays), model.device.type == "cuda"
    candidates: dict[str, Any] = {
        "vp_jax": lambda: compiled(params, *inputs).block_until_ready(),
        "diffusers": run_theirs,
    }
    if on_gpu:
        # block by block, as diffusers recommends: one is compiled and serves all; `eager` calls stay eager
        for block in model.transformer_blocks:
            block.compile(fullgraph=True)
        candidates["diffusers compiled"] = candidates["diffusers"]
        candidates["diffusers"] = lambda: eager(candidates["diffusers compiled"])
    ours = np.asarray(compiled(params, *inputs), np.float64).transpose(0, 1, 4, 2, 3)
    other = run_theirs().float().cpu().numpy().astype(np.float64)
    tokens, device = cfg.max_text_len + T * (h // 2) * (w // 2), str(model.device)

    print(timing.busy_machine())
    print(timing.command())
    title = f"{args.size}: {cfg.num_layers} layers of width {cfg.dim}, batch {B}, {tokens} tokens, {cfg.dtype}"
    print_times(f"{title}, attention {cfg.attention}", candidates, args.runs)
    size = f"({B * tokens} x {cfg.dim}) ({cfg.dim} x {4 * cfg.dim})"
    print_times(f"  one matrix product of it, {size}", products(B * tokens, cfg, device), args.runs)
    print_times("  the attention of one of its blocks", attentions(B, tokens, cfg, device), args.runs)
    print(
        f"  outputs differ by {np.linalg.norm(ours - other) / np.linalg.norm(other):.1e} (relative L2); "
        f"vp_jax weights {trees.size_bytes(params) / 1e9:.2f} GB, temporaries "
        f"{compiled.memory_analysis().temp_size_in_bytes / 1e9:.3f} GB; process peak "
        f"{timing.peak_host_bytes() / 1e9:.2f} GB"
    )
    if on_gpu:
        print(f"  torch peak {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")


if __name__ == "__main__":
    run_cli(main)
