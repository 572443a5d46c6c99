"""Helpers on trees of weights: what is cast for matmuls, what is never trained, where a model is read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import trees
from vp_jax.models.folder import BACKBONE, CheckpointFolder, abstract_model
from vp_jax.models.variants import variant
from vp_jax.training.stages.weights import (
    buffer_paths,
    compute_copy,
    float32_shapes,
    join_buffers,
    origin,
    random_weights,
    split_buffers,
)

TINY = variant("tiny").backbone
TREE = {
    "norm": {"scale": jnp.ones(3), "bias": jnp.zeros(3)},
    "to_q": {"kernel": jnp.full((3, 3), 1 / 3), "bias": jnp.ones(3), "lora_a": jnp.ones((3, 1))},
}


def test_only_weights_of_matmuls_are_cast():
    types = {path: str(leaf.dtype) for path, leaf in trees.flatten(compute_copy(TREE, "bfloat16")).items()}
    assert {path for path, name in types.items() if name == "bfloat16"} == {"to_q/kernel", "to_q/lora_a"}
    assert set(types.values()) == {"bfloat16", "float32"}


def test_position_tables_are_split_off_and_join_again():
    paths = buffer_paths(TINY)
    assert paths == {"patch_embed/pos_embedding"}
    shapes = abstract_model(TINY)[1]
    weights, buffers = split_buffers(shapes, paths)
    assert list(trees.flatten(buffers)) == ["patch_embed/pos_embedding"]
    assert not set(trees.flatten(weights)) & paths
    assert join_buffers(weights, buffers) == shapes


def test_masters_have_the_shapes_in_float32():
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), TREE)
    masters = float32_shapes(low)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(masters)} == {"float32"}
    assert masters["to_q"]["kernel"].shape == (3, 3)


@pytest.mark.slow
def test_random_weights_are_a_function_of_their_key():
    first, again, other = (random_weights(TINY, jax.random.key(seed)) for seed in (0, 0, 1))
    kernel = [tree["proj_out"]["kernel"] for tree in (first, again, other)]
    np.testing.assert_array_equal(kernel[0], kernel[1])
    assert not np.array_equal(kernel[0], kernel[2])


def test_a_model_is_read_from_its_part_of_the_checkpoint_or_made(tmp_path):
    assert origin(CheckpointFolder(tmp_path), BACKBONE, TINY) == (abstract_model(TINY)[1], tmp_path / "transformer")
    assert origin(None, BACKBONE, TINY).folder is None
