"""Low-rank adapters, stored separately from the model: ``y = W x + b + sum_i scale_i * B_i (A_i x)``.

An adapter is a `LoRAConfig` and a tree that mirrors the model, with ``lora_a`` (L?, in, R) and ``lora_b`` (L?, R, out)
instead of the ``kernel`` (L?, in, out) of each target; L is the layer axis of stacked blocks. A starts uniform in
+-1/sqrt(in) and B at zero, so a new adapter changes nothing. Source: arXiv 2106.09685.

    adapters = [(cfg, params), ...]
    attach(model, adapters)      a model with the adapters as separate leaves, to train them or to switch styles
    merge(params, adapters)      weights with the adapters added, for sampling at no extra cost
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.models.config import LoRAConfig

Adapter = tuple[LoRAConfig, trees.Tree]
"""A description and its nested dict, ``{'blocks': {'attn': {'to_q': {'lora_a': ..., 'lora_b': ...}}}}``."""

Model = TypeVar("Model", bound=nnx.Module)


class LowRank(nnx.Module):
    """``scale * B (A x)``."""

    def __init__(self, lora_a: jax.Array, lora_b: jax.Array, scale: float) -> None:
        self.lora_a = nnx.Param(lora_a)
        self.lora_b = nnx.Param(lora_b)
        self.scale = scale

    def __call__(self, x: jax.Array, precision: Any) -> jax.Array:
        """Low-rank change of a linear map of ``x``."""
        y = jnp.matmul(x, self.lora_a.astype(x.dtype), precision=precision)
        return self.scale * jnp.matmul(y, self.lora_b.astype(x.dtype), precision=precision)


class LoRALinear(nnx.Linear):
    """A Linear with adapters ``lora_0``, ``lora_1`` ...; ``kernel`` and ``bias`` keep their names."""

    def __init__(self, base: nnx.Linear, adapters: dict[str, LowRank]) -> None:
        # the attributes of the base without copies: no new weights, whatever Linear stores
        for name, value in vars(base).items():
            if not name.startswith("_pytree"):
                setattr(self, name, value)
        for name, adapter in adapters.items():
            setattr(self, name, adapter)
        self.adapters = tuple(adapters)

    def __call__(self, inputs: jax.Array, out_sharding: Any = None) -> jax.Array:
        """The linear map of ``inputs`` with all changes added."""
        y = super().__call__(inputs, out_sharding)
        for name in self.adapters:
            y = y + getattr(self, name)(inputs.astype(y.dtype), self.precision)
        return y


def attach(module: Model, adapters: Sequence[Adapter]) -> Model:
    """Attach adapters to a model, as leaves ``<target>/lora_<i>/lora_a`` and ``lora_b``.

    The result shares its arrays with ``module``, which does not change. Arrays may be tracers, and every leaf receives
    gradients.

    Args:
      module: a model whose targets are `nnx.Linear`, with or without a leading layer axis.
      adapters: adapters in order; changes to the same target add up.

    Raises:
      UserError: a target that the model does not have, or shapes that do not fit (all faults in one message).
    """
    parts = [(cfg, trees.flatten(params)) for cfg, params in adapters]
    _check(parts, {path: _kernel_shape(_find(module, path)) for cfg, _ in parts for path in cfg.targets})
    module = nnx.clone(module)
    for path in sorted({path for cfg, _ in parts for path in cfg.targets}):
        changes = {
            f"lora_{i}": LowRank(flat[f"{path}/lora_a"], flat[f"{path}/lora_b"], cfg.scale)
            for i, (cfg, flat) in enumerate(parts)
            if path in cfg.targets
        }
        parent, _, name = path.rpartition("/")
        setattr(_find(module, parent), name, LoRALinear(_find(module, path), changes))
    return module


def merge(params: trees.Tree, adapters: Sequence[Adapter]) -> trees.Tree:
    """Add ``scale * A B`` to the kernels of the targets, in float32, one layer at a time.

    Args:
      params: nested dict of the model's arrays; leaves that do not change are shared with the result.
      adapters: adapters in order.

    Raises:
      UserError: a target that the model does not have, or shapes that do not fit (all faults in one message).
    """
    parts = [(cfg, trees.flatten(tree)) for cfg, tree in adapters]
    merged = trees.flatten(params)
    _check(parts, {path: _shape(merged.get(f"{path}/kernel")) for cfg, _ in parts for path in cfg.targets})
    for path in sorted({path for cfg, _ in parts for path in cfg.targets}):
        factors = [
            (cfg.scale, flat[f"{path}/lora_a"], flat[f"{path}/lora_b"]) for cfg, flat in parts if path in cfg.targets
        ]
        merged[f"{path}/kernel"] = _add(merged[f"{path}/kernel"], factors)
    return trees.unflatten(merged)


def init(cfg: LoRAConfig, like: trees.Tree, key: jax.Array, dtype: Any = jnp.float32) -> trees.Tree:
    """Make a new adapter, which does not change the model yet.

    Args:
      cfg: targets and rank.
      like: nested dict of the model's arrays, or of their shapes (`trees.abstract`).
      key: random key.
      dtype: type of the adapter; float32 to train it.

    Raises:
      UserError: a target that the model does not have.
    """
    flat = trees.flatten(like)
    _raise([f"{path}: the model has no such Linear" for path in cfg.targets if f"{path}/kernel" not in flat])
    adapter: dict[str, jax.Array] = {}
    for path, path_key in zip(sorted(cfg.targets), jax.random.split(key, len(cfg.targets))):
        *layers, inputs, outputs = flat[f"{path}/kernel"].shape
        bound = 1.0 / math.sqrt(inputs)
        adapter[f"{path}/lora_a"] = jax.random.uniform(path_key, (*layers, inputs, cfg.rank), dtype, -bound, bound)
        adapter[f"{path}/lora_b"] = jnp.zeros((*layers, cfg.rank, outputs), dtype)
    return trees.unflatten(adapter)


def _add(kernel: jax.Array, factors: list[tuple[float, jax.Array, jax.Array]]) -> jax.Array:
    scales = [scale for scale, _, _ in factors]

    def add(arrays: tuple[jax.Array, list[tuple[jax.Array, jax.Array]]]) -> jax.Array:
        kernel, pairs = arrays
        total = kernel.astype(jnp.float32)
        for scale, (a, b) in zip(scales, pairs):
            a, b = a.astype(jnp.float32), b.astype(jnp.float32)
            total = total + scale * jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
        return total.astype(kernel.dtype)

    arrays = jax.tree.map(jnp.asarray, (kernel, [(a, b) for _, a, b in factors]))
    # layer by layer: a complete stack in float32 takes 6 GB for one matrix of the 5B feed-forward
    return jax.lax.map(add, arrays) if kernel.ndim == 3 else add(arrays)


def _find(module: Any, path: str) -> Any:
    for name in path.split("/") if path else []:
        module = getattr(module, name, None)
    return module


def _shape(kernel: Any) -> tuple[int, ...] | None:
    return None if kernel is None else tuple(kernel.shape)


def _kernel_shape(linear: Any) -> tuple[int, ...] | None:
    # a Linear that already has adapters is refused too: attach takes all adapters at once
    return _shape(linear.kernel) if type(linear) is nnx.Linear else None


def _check(parts: list[tuple[LoRAConfig, dict[str, Any]]], kernels: dict[str, tuple[int, ...] | None]) -> None:
    """Check that every leaf belongs to a target, every target is a Linear of the model, and every shape fits."""
    faults: list[str] = []
    for cfg, flat in parts:
        known = {f"{path}/{name}" for path in cfg.targets for name in ("lora_a", "lora_b")}
        faults += [f"{leaf}: not a target of the adapter" for leaf in flat if leaf not in known]
        faults += [f"{leaf}: not in the adapter" for leaf in sorted(known) if leaf not in flat]
        for path in cfg.targets:
            kernel, a, b = kernels[path], _shape(flat.get(f"{path}/lora_a")), _shape(flat.get(f"{path}/lora_b"))
            if kernel is None:
                faults.append(f"{path}: the model has no such Linear without adapters")
            elif (
                a
                and b
                and not (
                    len(b) == len(kernel)
                    and a[:-1] == kernel[:-1]
                    and a[-1] == b[-2]
                    and b[:-2] + b[-1:] == kernel[:-2] + kernel[-1:]
                )
            ):
                faults.append(f"{path}: A {a} and B {b} do not fit the kernel {kernel}")
    _raise(faults)


def _raise(faults: list[str]) -> None:
    if faults:
        raise UserError("the adapter does not fit the model: " + "; ".join(faults))
