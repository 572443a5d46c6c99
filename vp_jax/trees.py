"""Parameter trees: nested dicts of arrays, named by '/'-joined paths such as ``blocks/attn/to_q/kernel``.

A model is a pair: a graph definition (static, hashable) and a nested dict of arrays. Storing, sharding, converting and
training all work on the dict; `nnx.merge` joins the two inside jit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

Tree = dict[str, Any]
"""A nested dict of arrays, or of their shapes."""


class Buffer(nnx.Variable[Any]):
    """An array that belongs to a checkpoint but is never trained (the learned-position table)."""


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{'a': {'b': x}}`` -> ``{'a/b': x}``, keys in sorted order."""
    flat: dict[str, Any] = {}
    for key in sorted(tree, key=str):
        path = f"{prefix}/{key}" if prefix else str(key)
        value = tree[key]
        flat.update(flatten(value, path) if isinstance(value, Mapping) else {path: value})
    return flat


def unflatten(flat: Mapping[str, Any]) -> Tree:
    """``{'a/b': x}`` -> ``{'a': {'b': x}}``, the inverse of `flatten`."""
    tree: Tree = {}
    for path, value in flat.items():
        *parents, leaf = path.split("/")
        node = tree
        for key in parents:
            node = node.setdefault(key, {})
        node[leaf] = value
    return tree


def abstract(build: Callable[[], nnx.Module]) -> tuple[nnx.GraphDef[Any], Tree]:
    """Graph definition and shapes of a model without allocating it: leaves are `jax.ShapeDtypeStruct`.

    Modules in lists are numbered with strings, as in paths and in stored checkpoints.
    """
    graphdef, state = nnx.split(nnx.eval_shape(build))
    return graphdef, unflatten(flatten(nnx.to_pure_dict(state)))


def split(module: nnx.Module) -> tuple[nnx.GraphDef[Any], Tree]:
    """Graph definition and arrays of a built model."""
    graphdef, state = nnx.split(module)
    return graphdef, nnx.to_pure_dict(state)


def count_parameters(build: Callable[[], nnx.Module]) -> int:
    """Number of trainable values of a model (`Buffer`s are not counted), without allocating it."""
    leaves = jax.tree.leaves(nnx.state(nnx.eval_shape(build), nnx.Param))
    return sum(int(np.prod(leaf.shape)) for leaf in leaves)


def cast(tree: Tree, dtype: Any) -> Tree:
    """Cast floating leaves to ``dtype``; other leaves stay as they are."""
    result: Tree = jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)
    return result


def size_bytes(tree: Tree) -> int:
    """Total bytes of all leaves (arrays or shapes)."""
    return sum(int(np.prod(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree))
