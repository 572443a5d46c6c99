"""Fused attention on NVIDIA GPUs: cuDNN's forward and backward kernels, for one device's heads.

`jax.nn.dot_product_attention(implementation="cudnn")` makes the same two calls of XLA. It gives no name to what the
backward kernel reads (the output and the log-sum-exp), so under a rematerialisation policy that saves named values the
forward kernel runs a second time. Here both carry a name, the log-sum-exp in float32.

`attend_rest` is the softmax of ID resampling (`vp_jax.models.id_resample`). Its keys come in parts, each with one
weight and its own number of keys, which the kernels take as the length of a padded sequence: no work for the others.
The parts are combined by their log-sum-exp. Backward, every part is given the final output and the complete
log-sum-exp: probabilities and their gradients are then those of the complete softmax.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

FORWARD, BACKWARD = "__cudnn$fmhaSoftmax", "__cudnn$fmhaSoftmaxBackward"
"""XLA's names of the two kernels."""

CUDNN_DTYPES = ("bfloat16", "float16")

LARGEST_HEAD = 128
"""Values per head that the kernels take on every GPU since Ampere."""

OLDEST_GPU = (8, 0)
"""Compute capability of Ampere, the first that the kernels run on."""

OLDEST_VERSION = 91501
"""cuDNN 9.15.1. Before it, replayed CUDA graphs read outside of arrays whose length is no multiple of 128."""

_ELEMENT = {"bfloat16": "BF16", "float16": "F16"}

# (batch, length, heads, values) in memory, whichever order of dimensions XLA shows
_ROWS_FIRST = (0, 2, 1, 3)


def missing_here() -> str | None:
    """What this machine lacks for the kernels, as the end of a sentence; ``None`` if nothing."""
    device = jax.local_devices()[0]
    if "cuda" not in jax.extend.backend.get_backend().platform_version:
        return f"needs an NVIDIA GPU, this is {device.device_kind}"
    capability = tuple(int(part) for part in device.compute_capability.split("."))
    if capability < OLDEST_GPU:
        return f"needs compute capability 8.0 (Ampere), this is {device.device_kind} with {device.compute_capability}"
    version = _version()
    if version is not None and version < OLDEST_VERSION:
        major, minor, patch = version // 10_000, version // 100 % 100, version % 100
        return f"needs cuDNN 9.15.1, here is {major}.{minor}.{patch}: pip install --upgrade nvidia-cudnn-cu13"
    return None


def _version() -> int | None:
    """Version of the loaded cuDNN, 91501 for 9.15.1; ``None`` where JAX does not tell."""
    try:
        from jax._src.lib import cuda_versions
    except ImportError:  # not a public name
        return None
    return None if cuda_versions is None else int(cuda_versions.cudnn_get_version())


def attend(q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array, *, save_as: str) -> jax.Array:
    """``softmax(q k^T / sqrt(A)) v``; no array of scores exists, in the backward pass neither.

    Args:
      q_BSKA: queries, heads of one device, of a type of `CUDNN_DTYPES`.
      k_BSKA: keys of the same type; may be longer than the queries.
      v_BSKA: values, as the keys.
      save_as: name of the output and of the log-sum-exp for rematerialisation policies.

    Raises:
      ValueError: a type or a head size that the kernels do not take.
    """
    dtype, size = q_BSKA.dtype.name, q_BSKA.shape[-1]
    if dtype not in CUDNN_DTYPES or size % 8 or size > LARGEST_HEAD:
        raise ValueError(
            f"cuDNN attention on {dtype} with {size} values per head: expected {' or '.join(CUDNN_DTYPES)} and a "
            f"multiple of 8 up to {LARGEST_HEAD}; vp_jax.models.attention.choose finds a backend that fits"
        )
    return _attend(save_as, q_BSKA, k_BSKA, v_BSKA)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend(save_as: str, q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array) -> jax.Array:
    return _forward(q_BSKA, k_BSKA, v_BSKA, residuals=False)[0]


def _attend_forward(
    save_as: str, q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    out, lse_BKS = (checkpoint_name(x, save_as) for x in _forward(q_BSKA, k_BSKA, v_BSKA, residuals=True))
    return out, (q_BSKA, k_BSKA, v_BSKA, out, lse_BKS)


def _attend_backward(
    save_as: str, saved: tuple[jax.Array, ...], gradient_BSKA: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    q, k, v, out, lse_BKS = saved
    return _backward(q, k, v, out, lse_BKS, gradient_BSKA)


_attend.defvjp(_attend_forward, _attend_backward)


class KeyPart(NamedTuple):
    """Keys that count the same.

    Attributes:
      order_BT: number of every key of the part, those that count first, then any; ``None``: as they are.
      place_BT: where each key stands in ``order_BT``, the inverse; ``None`` as for ``order_BT``.
      counts_BT: True on the keys of the part, in the order of all keys.
      log_weight: logarithm of their weight.
    """

    order_BT: jax.Array | None
    place_BT: jax.Array | None
    counts_BT: jax.Array
    log_weight: float

    @property
    def length_B(self) -> jax.Array:
        """Number of keys."""
        return self.counts_BT.sum(axis=1, dtype=jnp.int32)


_Chosen = tuple[jax.Array | None, jax.Array | None, jax.Array]
"""The arrays of a `KeyPart`."""


def key_part(counts_BT: jax.Array, *, weight: float = 1.0, ordered: bool = False) -> KeyPart:
    """The keys where ``counts_BT``; ``ordered``: they are the first ones as they stand."""
    if ordered:
        return KeyPart(None, None, counts_BT, math.log(weight))
    order_BT = jnp.argsort(~counts_BT, axis=1, stable=True)
    return KeyPart(order_BT, jnp.argsort(order_BT, axis=1), counts_BT, math.log(weight))


def attend_rest(
    q_BSKA: jax.Array,
    k_BTKA: jax.Array,
    v_BTKA: jax.Array,
    log_rest_BSK: jax.Array,
    parts: Sequence[KeyPart],
    *,
    save_as: str,
) -> jax.Array:
    """``sum_j w_j exp(s_j) v_j / (sum_j w_j exp(s_j) + exp(rest))`` with the scores ``s = q k^T / sqrt(A)``.

    Args:
      q_BSKA: see `attend`.
      k_BTKA: keys.
      v_BTKA: values.
      log_rest_BSK: logarithm of what is added to the denominator of every query and head, float32.
      parts: the keys that count, with their weights; of the others nothing is read.
      save_as: see `attend`.
    """
    constant = tuple((p.order_BT, p.place_BT, p.counts_BT) for p in parts)
    weights = tuple(p.log_weight for p in parts)
    return _attend_rest((save_as, weights), q_BSKA, k_BTKA, v_BTKA, log_rest_BSK.swapaxes(1, 2), constant)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _attend_rest(
    static: tuple[str, tuple[float, ...]],
    q_BSKA: jax.Array,
    k_BTKA: jax.Array,
    v_BTKA: jax.Array,
    log_rest_BKS: jax.Array,
    constant: tuple[_Chosen, ...],
) -> jax.Array:
    return _attend_rest_forward(static, q_BSKA, k_BTKA, v_BTKA, log_rest_BKS, constant)[0]


def _attend_rest_forward(
    static: tuple[str, tuple[float, ...]],
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    log_rest_BKS: jax.Array,
    constant: tuple[_Chosen, ...],
) -> tuple[jax.Array, tuple[Any, ...]]:
    save_as, weights = static
    found, total_BKS = [], log_rest_BKS
    for chosen, log_weight in zip(constant, weights):
        own = KeyPart(chosen[0], chosen[1], chosen[2], log_weight)
        keys, values = (_chosen(x, own.order_BT) for x in (k, v))
        out, lse_BKS = _forward(q, keys, values, own.length_B)
        lse_BKS = jnp.where(own.length_B[:, None, None] > 0, lse_BKS + log_weight, -jnp.inf)
        total_BKS = jnp.logaddexp(total_BKS, lse_BKS)
        found.append((out, lse_BKS))
    shares = [(out.astype(jnp.float32), jnp.exp(lse - total_BKS)) for out, lse in found]
    out = sum(out * share.swapaxes(1, 2)[..., None] for out, share in shares).astype(q.dtype)  # type: ignore[union-attr]
    out, total_BKS = (checkpoint_name(x, save_as) for x in (out, total_BKS))
    return out, (q, k, v, log_rest_BKS, constant, out, total_BKS)


def _attend_rest_backward(
    static: tuple[str, tuple[float, ...]], saved: tuple[Any, ...], gradient_BSKA: jax.Array
) -> tuple[Any, ...]:
    q, k, v, log_rest_BKS, constant, out, total_BKS = saved
    sums = [jnp.zeros(x.shape, jnp.float32) for x in (q, k, v)]
    for chosen, log_weight in zip(constant, static[1]):
        own = KeyPart(chosen[0], chosen[1], chosen[2], log_weight)
        # a part without keys is computed for one key, whose probability this makes 0
        lse_BKS = jnp.where(own.length_B[:, None, None] > 0, total_BKS - log_weight, 1e30)
        keys, values = (_chosen(x, own.order_BT) for x in (k, v))
        dq, *dkv = _backward(q, keys, values, out, lse_BKS, gradient_BSKA, own.length_B)
        counts = own.counts_BT[:, :, None, None]
        back = [jnp.where(counts, _chosen(x, own.place_BT), 0).astype(jnp.float32) for x in dkv]
        sums = [total + x.astype(jnp.float32) for total, x in zip(sums, (dq, *back))]
    delta_BSK = (out.astype(jnp.float32) * gradient_BSKA.astype(jnp.float32)).sum(axis=-1)
    drest_BKS = -delta_BSK.swapaxes(1, 2) * jnp.exp(log_rest_BKS - total_BKS)
    return *(x.astype(given.dtype) for x, given in zip(sums, (q, k, v))), drest_BKS, None


_attend_rest.defvjp(_attend_rest_forward, _attend_rest_backward)


def _chosen(x_BTKA: jax.Array, order_BT: jax.Array | None) -> jax.Array:
    return x_BTKA if order_BT is None else jnp.take_along_axis(x_BTKA, order_BT[:, :, None, None], axis=1)


def _forward(
    q: jax.Array, k: jax.Array, v: jax.Array, length_B: jax.Array | None = None, *, residuals: bool = True
) -> tuple[jax.Array, ...]:
    """Output (B, S, K, A) and, with ``residuals``, the log-sum-exp (B, K, S), float32; over the first keys alone."""
    B, S, K, _ = q.shape
    shapes = [_heads_first(q), *([jax.ShapeDtypeStruct((B, K, S), jnp.float32)] if residuals else [])]
    config = _config(q, k, backward=False, padded=length_B is not None)
    out, *lse = _call(FORWARD, shapes, 1, config)(q, k, v, *_lengths(q, length_B))
    return out.swapaxes(1, 2), *lse[: len(shapes) - 1]


def _backward(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    out: jax.Array,
    lse_BKS: jax.Array,
    gradient_BSKA: jax.Array,
    length_B: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gradients of queries, keys and values, from the output and the log-sum-exp of the softmax."""
    shapes = [_heads_first(x) for x in (q, k, v)]
    config = _config(q, k, backward=True, padded=length_B is not None)
    inputs = q, k, v, lse_BKS, gradient_BSKA.astype(q.dtype), out, *_lengths(q, length_B)
    found = _call(BACKWARD, shapes, 3, config)(*inputs)
    return found[0].swapaxes(1, 2), found[1].swapaxes(1, 2), found[2].swapaxes(1, 2)


def _lengths(q_BSKA: jax.Array, length_B: jax.Array | None) -> tuple[jax.Array, ...]:
    """Numbers of queries and of keys of every example, at least one key; nothing if all count."""
    if length_B is None:
        return ()
    return jnp.full((q_BSKA.shape[0],), q_BSKA.shape[1], jnp.int32), jnp.maximum(length_B, 1)


def _call(target: str, shapes: list[jax.ShapeDtypeStruct], heads: int, config: str) -> Any:
    """XLA's kernel ``target``; the first ``heads`` of its results are arrays of heads, the last is a workspace."""
    workspace = jax.ShapeDtypeStruct((0,), jnp.uint8)
    layouts = [_ROWS_FIRST] * heads + [None] * (len(shapes) - heads + 1)
    return jax.ffi.ffi_call(
        target,
        [*shapes, workspace],
        output_layouts=layouts,
        custom_call_api_version=2,  # of XLA's own kernels; they are not registered through FFI
        legacy_backend_config=config,
        vmap_method="sequential",
    )


def _heads_first(x_BSKA: jax.Array) -> jax.ShapeDtypeStruct:
    B, S, K, A = x_BSKA.shape
    return jax.ShapeDtypeStruct((B, K, S, A), x_BSKA.dtype)


def _config(q_BSKA: jax.Array, k_BSKA: jax.Array, *, backward: bool, padded: bool = False) -> str:
    """XLA's description of the computation (``GpuBackendConfig.cudnn_fmha_backend_config``), as JSON."""
    B, S, K, A = q_BSKA.shape
    scores = {
        "element_type": _ELEMENT[q_BSKA.dtype.name],
        "dimensions": [str(size) for size in (B, K, S, k_BSKA.shape[1])],
        "tuple_shapes": [],
        "layout": {
            "dim_level_types": [],
            "dim_unique": [],
            "dim_ordered": [],
            "minor_to_major": ["3", "2", "1", "0"],
            "tiles": [],
            "element_size_in_bits": "0",
            "memory_space": "0",
            "index_primitive_type": "PRIMITIVE_TYPE_INVALID",
            "pointer_primitive_type": "PRIMITIVE_TYPE_INVALID",
            "dynamic_shape_metadata_prefix_bytes": "0",
        },
        "is_dynamic_dimension": [False] * 4,
    }
    products = {
        f"{name}_dot_dimension_numbers": {
            "lhs_contracting_dimensions": [str(left)],
            "rhs_contracting_dimensions": [str(right)],
            "lhs_batch_dimensions": ["0", str(heads)],
            "rhs_batch_dimensions": ["0", "2"],
        }
        for name, (left, right, heads) in (_BACKWARD_PRODUCTS if backward else _FORWARD_PRODUCTS).items()
    }
    values = {
        "algorithm": {
            "algo_id": "0",
            "math_type": "TENSOR_OP_MATH",
            "tuning_knobs": {"17": "1", "24": "0"},
            "is_cudnn_frontend": True,
            "workspace_size": "0",
        },
        "fmha_scale": 1.0 / math.sqrt(A),
        "intermediate_tensor_shape": scores,
        "is_flash_attention": True,
        "mask_type": "PADDING" if padded else "NO_MASK",
        **products,
        "dropout_rate": 0.0,
        "seed": 42,
        "sliding_window_length": 0,
        "max_seg_per_batch": 1,
        "is_paged_attention": False,
    }
    return json.dumps({"operation_queue_id": "0", "cudnn_fmha_backend_config": values})


# contracted dimension of the left and of the right factor, heads' dimension of the left one; scores are (B, K, S, S')
_FORWARD_PRODUCTS = {"bmm1": (3, 3, 2), "bmm2": (3, 1, 1)}
_BACKWARD_PRODUCTS = {
    "bmm1_grad_gemm1": (2, 1, 1),
    "bmm1_grad_gemm2": (3, 1, 1),
    "bmm2_grad_gemm1": (2, 1, 1),
    "bmm2_grad_gemm2": (3, 3, 2),
}
