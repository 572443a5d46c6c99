"""Modules with random weights that never pass an initialiser: nothing is compiled to make them."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from vp_jax import trees


def draw(shapes: trees.Tree, seed: int = 0) -> trees.Tree:
    """Normal values: kernels of deviation 1 / sqrt(inputs), norm scales about 1, biases and tables small."""
    rng = np.random.default_rng(seed)

    def leaf(path: Any, like: Any) -> np.ndarray:
        name, values = path[-1].key, rng.standard_normal(like.shape)
        if name in ("kernel", "lora_a", "lora_b"):
            return (values / np.sqrt(like.shape[-2])).astype(like.dtype)
        return ((name == "scale") + 0.3 * values).astype(like.dtype)

    return jax.tree_util.tree_map_with_path(leaf, shapes)


def module(build: Callable[..., nnx.Module], *args: Any, seed: int = 0, **options: Any) -> Any:
    """``build(*args, rngs=..., **options)`` with drawn weights, and these by path in float64."""
    graph, shapes = trees.abstract(lambda: build(*args, rngs=nnx.Rngs(0), **options))
    params = draw(shapes, seed)
    by_path = {path: np.asarray(leaf, np.float64) for path, leaf in trees.flatten(params).items()}
    return nnx.merge(graph, jax.tree.map(jax.numpy.asarray, params)), by_path


def run(module: nnx.Module, *args: Any, static: tuple[Any, ...] = ()) -> Any:
    """``module(*args, *static)`` as one program."""
    return jax.jit(lambda module, args: module(*args, *static))(module, args)
