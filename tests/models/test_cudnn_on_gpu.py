"""cuDNN's attention on the GPU that it runs on: outputs and gradients against a softmax in float32.

    JAX_PLATFORMS=cuda,cpu pytest tests/models/test_cudnn_on_gpu.py tests/parity

Skipped where there is no NVIDIA GPU.
"""

import jax
import jax.numpy as jnp
import pytest

from tests.compare import relative_error
from vp_jax.models import attention, cudnn, rope
from vp_jax.models.zero_tokens import zero_tokens

pytestmark = pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs an NVIDIA GPU")
BFLOAT16 = 1.5e-2
"""Relative error of products of bfloat16, whose step is 8e-3."""

GRID, TEXT, SIZE = (3, 6, 8), 26, 64
LENGTH = TEXT + 3 * 6 * 8


def drawn(*lengths, batch=2, heads=3):
    """Arrays (batch, length, heads, SIZE) whose numbers bfloat16 holds."""
    keys = jax.random.split(jax.random.key(0), len(lengths))
    return [jax.random.normal(key, (batch, n, heads, SIZE), jnp.bfloat16) for key, n in zip(keys, lengths)]


def compare(function, arrays):
    """Output and gradients of ``function(backend, *arrays)`` in bfloat16 on cuDNN, and in float32 on XLA."""

    def run(backend, arrays):
        def loss(arrays):
            out = function(backend, *arrays).astype(jnp.float32)
            return (out**2).sum(), out

        (_, out), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(arrays)
        return [out, *gradients]

    exact = run("xla", [a.astype(jnp.float32) for a in arrays])
    for got, want in zip(run("cudnn", arrays), exact, strict=True):
        assert relative_error(got.astype(jnp.float32), want) < BFLOAT16


def test_the_kernels_run_here():
    assert cudnn.missing_here() is None
    assert attention.choose("", dtype="bfloat16", head_dim=SIZE) == "cudnn"


@pytest.mark.parametrize("queries, keys", [(70, 70), (70, 101), (256, 256)])
def test_attention_and_its_gradients(queries, keys):
    compare(lambda backend, *a: attention.attend(*a, backend=backend), drawn(queries, keys, keys))


@pytest.mark.parametrize("masked", [0, 5, 100, LENGTH - TEXT])
@pytest.mark.parametrize("twice", [True, False])
def test_attention_of_id_resampling_and_its_gradients(twice, masked):
    """Of a window's own masked tokens, and of those of another window in a padded bucket."""
    masked_BS = jnp.zeros((2, LENGTH), bool).at[:, TEXT : TEXT + masked].set(True)
    table, bias = rope.rotation(*GRID, SIZE, TEXT, stretch=True), jax.random.normal(jax.random.key(1), (SIZE,))
    zeros = zero_tokens(bias, masked_BS, table)
    lengths = (LENGTH,) * 3 if twice else (LENGTH, LENGTH, LENGTH, 144, 144)

    def again(backend, q, *pairs):
        return attention.attend_again(q, pairs, masked_BS, zeros, GRID, backend=backend)

    compare(again, drawn(*lengths))
