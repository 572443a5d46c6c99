"""Trainable and frozen weights of a stage, where they come from, and what is done to them before a step.

The masters are float32. Position tables (`trees.Buffer`) are never trained: they are stored with the frozen weights,
and join the others again where a model is built or exported.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.models.folder import CheckpointFolder, Network, Part, abstract_model, build_model

MATMUL_WEIGHTS = ("kernel", "lora_a", "lora_b")


class Weights(NamedTuple):
    """Trainable (float32) and frozen weights of a stage, as arrays or shapes."""

    trainable: trees.Tree
    frozen: trees.Tree


class Origin(NamedTuple):
    """Where a model that a stage starts from is read.

    Attributes:
      shapes: of its weights, in the types to read them in.
      folder: model folder; ``None``: random weights, to try a program out.
    """

    shapes: trees.Tree
    folder: Path | None


def origin(checkpoint: CheckpointFolder | None, part: Part[Any], description: Network) -> Origin:
    """A model as the checkpoint has it, or at random without one."""
    return Origin(abstract_model(description)[1], None if checkpoint is None else checkpoint.of(part))


def compute_copy(weights: trees.Tree, dtype: str) -> trees.Tree:
    """Weights of matmuls in the compute type, the rest (norms, biases) as it is.

    Cast here and not where they are used, sharded masters travel between chips in the compute type.
    """
    flat = trees.flatten(weights)
    return trees.unflatten(
        {path: leaf.astype(dtype) if path.rsplit("/", 1)[-1] in MATMUL_WEIGHTS else leaf for path, leaf in flat.items()}
    )


def random_weights(description: Network, key: jax.Array) -> trees.Tree:
    """Freshly initialised weights of a model."""
    return trees.split(build_model(description, nnx.Rngs(key)))[1]


def float32_shapes(tree: trees.Tree) -> trees.Tree:
    """Shapes of the masters of ``tree``."""
    shapes: trees.Tree = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float32), tree)
    return shapes


@functools.lru_cache(maxsize=16)
def buffer_paths(description: Network) -> frozenset[str]:
    """Leaves of a model that are never trained."""
    state = nnx.state(nnx.eval_shape(lambda: build_model(description, nnx.Rngs(0))), trees.Buffer)
    return frozenset(trees.flatten(nnx.to_pure_dict(state)))


def split_buffers(tree: trees.Tree, buffers: frozenset[str]) -> Weights:
    """A tree without, and with only, the leaves ``buffers``."""
    flat = trees.flatten(tree)
    return Weights(
        trees.unflatten({path: leaf for path, leaf in flat.items() if path not in buffers}),
        trees.unflatten({path: leaf for path, leaf in flat.items() if path in buffers}),
    )


def join_buffers(weights: trees.Tree, buffers: trees.Tree) -> trees.Tree:
    """Inverse of `split_buffers`."""
    return trees.unflatten({**trees.flatten(weights), **trees.flatten(buffers)})
