"""cuDNN's attention: the calls that `jax.nn` makes, and what a rematerialised backward pass computes twice.

Nothing here runs on a GPU: programs are lowered for one.
"""

import dataclasses
import re
import types

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.models import cudnn
from vp_jax.models.dit import DiT
from vp_jax.models.variants import variant


def lowered(function, *args):
    return jax.jit(function).trace(*args).lower(lowering_platforms=("cuda",)).as_text()


def calls(text):
    """The lines that call cuDNN, names of values left out."""
    return [re.sub(r"%[\w#:]+", "%", line.strip()) for line in text.splitlines() if "@__cudnn$" in line]


@pytest.mark.parametrize("dtype", cudnn.CUDNN_DTYPES)
@pytest.mark.parametrize("queries, keys, size", [(70, 70, 64), (70, 100, 32)])
def test_the_calls_are_those_of_jax(monkeypatch, dtype, queries, keys, size):
    # the public call refuses to be lowered on a machine without cuDNN
    monkeypatch.setattr("jax._src.cudnn.fused_attention_stablehlo.check_cudnn_version", lambda: 92800)
    q, k = (jax.ShapeDtypeStruct((2, n, 3, size), jnp.dtype(dtype)) for n in (queries, keys))

    def own(q, k, v):
        return cudnn.attend(q, k, v, save_as="attention")

    def public(q, k, v):
        return jax.nn.dot_product_attention(q, k, v, implementation="cudnn")

    def gradients(f):
        return jax.grad(lambda *a: (f(*a).astype(jnp.float32) ** 2).sum(), (0, 1, 2))

    forward = calls(lowered(own, q, k, k))
    assert len(forward) == 1 and forward == calls(lowered(public, q, k, k))
    both = calls(lowered(gradients(own), q, k, k))
    assert len(both) == 2 and both == calls(lowered(gradients(public), q, k, k))


def test_the_calls_on_padded_keys_are_those_of_jax(monkeypatch):
    monkeypatch.setattr("jax._src.cudnn.fused_attention_stablehlo.check_cudnn_version", lambda: 92800)
    q, k = (jax.ShapeDtypeStruct((2, n, 3, 64), jnp.bfloat16) for n in (70, 100))
    rest, lengths = jax.ShapeDtypeStruct((2, 70, 3), jnp.float32), jax.ShapeDtypeStruct((2,), jnp.int32)

    def own(q, k, v, rest, lengths):
        counts = jnp.arange(100)[None] < lengths[:, None]
        return cudnn.attend_rest(q, k, v, rest, [cudnn.key_part(counts, ordered=True)], save_as="attention")

    def public(q, k, v, rest, lengths):
        full = jnp.full(2, 70, jnp.int32)
        return jax.nn.dot_product_attention(
            q, k, v, query_seq_lengths=full, key_value_seq_lengths=lengths, implementation="cudnn"
        )

    def gradients(f):
        return lambda *a: jax.grad(lambda q, k, v: (f(q, k, v, *a[3:]).astype(jnp.float32) ** 2).sum(), (0, 1, 2))(
            *a[:3]
        )

    both = calls(lowered(gradients(own), q, k, k, rest, lengths))
    assert len(both) == 2 and both == calls(lowered(gradients(public), q, k, k, rest, lengths))


def with_plain_kernels(monkeypatch):
    """The two kernels in plain JAX, float32; of keys that do not count they give what must not be used."""

    def scores(q, k, lengths):
        there = jnp.arange(k.shape[1])[None] < jnp.maximum(lengths, 1)[:, None]
        logits = jnp.einsum("bska,btka->bkst", q, k) * q.shape[-1] ** -0.5
        return jnp.where(there[:, None, None], logits, -jnp.inf), there

    def forward(q, k, v, lengths):
        logits, _ = scores(q, k, lengths)
        return jnp.einsum("bkst,btka->bska", jax.nn.softmax(logits), v), jax.nn.logsumexp(logits, axis=-1)

    def backward(q, k, v, out, lse, gradient, lengths):
        logits, there = scores(q, k, lengths)
        p = jnp.exp(logits - lse[..., None])
        delta = (out * gradient).sum(-1).swapaxes(1, 2)[..., None]
        ds = p * (jnp.einsum("bska,btka->bkst", gradient, v) - delta) * q.shape[-1] ** -0.5
        dk, dv = jnp.einsum("bkst,bska->btka", ds, q), jnp.einsum("bkst,bska->btka", p, gradient)
        keep = there[:, :, None, None]
        return jnp.einsum("bkst,btka->bska", ds, k), jnp.where(keep, dk, jnp.nan), jnp.where(keep, dv, jnp.nan)

    monkeypatch.setattr(cudnn, "_forward", forward)
    monkeypatch.setattr(cudnn, "_backward", backward)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("twice", [True, False])
def test_parts_of_the_keys_give_the_softmax_over_all_of_them(monkeypatch, share, twice):
    """Keys that count twice, or the first of the keys alone; outputs and gradients, that of the rest too."""
    with_plain_kernels(monkeypatch)
    keys = jax.random.split(jax.random.key(0), 5)
    q, k, v, weight = (jax.random.normal(key, (2, n, 2, 8)) for key, n in zip(keys, (9, 12, 12, 9)))
    rest = jax.random.normal(keys[4], (2, 9, 2))
    order = jnp.stack([jax.random.permutation(key, 12) for key in keys[:2]])
    chosen = order < round(share * 12) if twice else jnp.arange(12)[None] < jnp.array([[3], [round(share * 12)]])
    counts = 1 + chosen if twice else chosen.astype(int)

    def in_parts(q, k, v, rest):
        parts = [cudnn.key_part(counts == 1), cudnn.key_part(counts == 2, weight=2.0)]
        if not twice:
            parts = [cudnn.key_part(chosen, ordered=True)]
        return cudnn.attend_rest(q, k, v, rest, parts, save_as="attention")

    def written_out(q, k, v, rest):
        exps = jnp.exp(jnp.einsum("bska,btka->bskt", q, k) * 8**-0.5) * counts[:, None, None]
        return jnp.einsum("bskt,btka->bska", exps / (exps.sum(-1) + jnp.exp(rest))[..., None], v)

    for got, want in zip(
        *(jax.jit(lambda *a, f=f: jax.vjp(f, *a)[1](weight))(q, k, v, rest) for f in (in_parts, written_out))
    ):
        assert relative_error(got, want) < 1e-5
    assert relative_error(in_parts(q, k, v, rest), written_out(q, k, v, rest)) < 1e-6


def kernels(remat):
    """Forward and backward kernels in the gradient of nano's backbone, whose blocks are one scan."""
    cfg = dataclasses.replace(
        variant("nano").backbone, attention="cudnn", dtype="bfloat16", param_dtype="bfloat16", remat=remat
    )
    graph, params = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))

    def loss(params, x, text, t):
        return (nnx.merge(graph, params)(x, text, t).sample.astype(jnp.float32) ** 2).sum()

    shape = jax.ShapeDtypeStruct
    traced = jax.jit(jax.grad(loss)).trace(
        params, shape((1, 5, 8, 12, 64), jnp.float32), shape((1, 24, 64), jnp.float32), shape((1,), jnp.float32)
    )
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    return traced, (text.count(f"@{cudnn.FORWARD}("), text.count(f"@{cudnn.BACKWARD}("))


@pytest.mark.parametrize(
    "remat, forward",
    [
        ("", 1),
        ("save_attention", 1),
        ("save_attention_and_products", 1),
        ("offload_attention", 1),
        ("nothing_saveable", 2),
    ],
)
def test_saved_attention_runs_the_forward_kernel_once(remat, forward):
    assert kernels(remat)[1] == (forward, 1)


def test_saved_attention_is_saved_once_with_its_log_sum_exp():
    traced, _ = kernels("save_attention")
    scan = next(eqn for eqn in traced.jaxpr.jaxpr.eqns if eqn.primitive.name == "scan")
    saved = [out.aval.str_short() for out in scan.outvars if out.aval.shape[:1] == (6,)]  # one of every layer
    assert saved.count("bfloat16[6,1,504,7,32]") == 1  # the output
    assert saved.count("float32[6,1,7,504]") == 1  # the log-sum-exp


def test_what_the_kernels_do_not_take_is_an_error_with_what_they_take():
    x = jnp.zeros((1, 8, 1, 16))
    with pytest.raises(ValueError, match="on float32 with 16 values per head: expected bfloat16 or float16"):
        cudnn.attend(x, x, x, save_as="a")
    x = jnp.zeros((1, 8, 1, 20), jnp.bfloat16)
    with pytest.raises(ValueError, match=r"with 20 values per head: .* a multiple of 8 up to 128"):
        cudnn.attend(x, x, x, save_as="a")


@pytest.mark.parametrize(
    "platform, kind, capability, version, words",
    [
        ("rocm 7", "AMD Instinct MI300X", "gfx942", None, "needs an NVIDIA GPU, this is AMD Instinct MI300X"),
        ("cuda 13", "Tesla T4", "7.5", 92800, "needs compute capability 8.0 .*, this is Tesla T4 with 7.5"),
        ("cuda 13", "NVIDIA A100", "8.0", 91200, "needs cuDNN 9.15.1, here is 9.12.0: pip install --upgrade"),
        ("cuda 13", "NVIDIA A100", "8.0", 91501, None),
        ("cuda 13", "NVIDIA B200", "10.0", 92800, None),
        ("cuda 13", "NVIDIA H100", "9.0", None, None),
    ],
)
def test_devices_and_versions_that_lack_the_kernels_are_known(monkeypatch, platform, kind, capability, version, words):
    device = types.SimpleNamespace(device_kind=kind, compute_capability=capability)
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    monkeypatch.setattr(jax.extend.backend, "get_backend", lambda: types.SimpleNamespace(platform_version=platform))
    monkeypatch.setattr(cudnn, "_version", lambda: version)
    missing = cudnn.missing_here()
    assert missing is None if words is None else re.search(words, missing)
