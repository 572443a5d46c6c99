"""Parameter trees: names, shapes without arrays, what counts as a parameter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vp_jax import trees

NESTED = {"b": {"z": 1, "a": {"k": 2}}, "a": 3}


class Model(nnx.Module):
    """Two numbered layers, a table that is not trained and a module without parameters."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 4, use_bias=False, rngs=rngs)])
        self.table = trees.Buffer(jnp.ones((5, 7)))
        self.drop = nnx.Dropout(0.5)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def build():
    return Model(rngs=nnx.Rngs(0))


def test_paths_are_joined_and_sorted():
    assert list(trees.flatten(NESTED).items()) == [("a", 3), ("b/a/k", 2), ("b/z", 1)]
    assert trees.unflatten(trees.flatten(NESTED)) == NESTED
    assert trees.flatten({}) == {} == trees.unflatten({})


def test_numbers_of_layers_are_text():
    assert trees.flatten({0: {"w": 1}, "x": {1: 2}}) == {"0/w": 1, "x/1": 2}
    _, shapes = trees.abstract(build)
    assert set(trees.flatten(shapes)) == {"layers/0/kernel", "layers/0/bias", "layers/1/kernel", "table"}
    assert set(shapes["layers"]) == {"0", "1"}


def test_shapes_come_without_arrays_and_agree_with_the_model(monkeypatch):
    graph, shapes = trees.abstract(build)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(shapes))
    built_graph, arrays = trees.split(build())
    assert graph == built_graph and hash(graph) == hash(built_graph)
    assert {p: (a.shape, a.dtype) for p, a in trees.flatten(arrays).items()} == {
        p: (s.shape, s.dtype) for p, s in trees.flatten(shapes).items()
    }


def test_a_graph_and_other_arrays_make_a_model():
    graph, shapes = trees.abstract(build)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(leaf.dtype), shapes)
    x = rng.standard_normal((6, 2)).astype(np.float32)
    first, second = params["layers"]["0"], params["layers"]["1"]
    want = (x @ first["kernel"] + first["bias"]) @ second["kernel"]
    got = jax.jit(lambda p, x: nnx.merge(graph, p)(x))(params, x)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_buffers_are_no_parameters():
    assert trees.count_parameters(build) == 2 * 3 + 3 + 3 * 4
    assert trees.size_bytes(trees.abstract(build)[1]) == 4 * (21 + 35)


def test_casting_leaves_integers_alone():
    tree = {"w": jnp.ones((2,), jnp.float32), "n": jnp.arange(3), "flag": jnp.array([True])}
    got = trees.cast(tree, jnp.bfloat16)
    assert {name: leaf.dtype for name, leaf in got.items()} == {
        "w": jnp.bfloat16,
        "n": tree["n"].dtype,
        "flag": jnp.bool_,
    }


@pytest.mark.parametrize("dtype, size", [("bfloat16", 2), ("float32", 4), ("int8", 1)])
def test_bytes_are_counted_by_type_for_arrays_and_shapes(dtype, size):
    arrays = {"a": jnp.zeros((3, 5), dtype), "b": {"c": jnp.zeros((), dtype)}}
    shapes = jax.eval_shape(lambda: arrays)
    assert trees.size_bytes(arrays) == trees.size_bytes(shapes) == 16 * size
