"""Operations of one HLO instruction: 2 x multiply-adds of matrix products, convolutions and fused attention.

    dot, convolution        every compiler
    __cublas$...            products that XLA gives to cuBLAS
    __cudnn$conv...         convolutions that it gives to cuDNN, and their two gradients
    __cudnn$fmha...         fused attention of cuDNN
    splash_mha_...          fused attention of the Pallas kernels on TPUs

A TPU's compiler writes products as convolutions.

cuDNN's attention may be given the number of keys when it runs. Calls with as many keys as queries then come in pairs
that share the keys (`vp_jax.models.cudnn.attend_rest`): each counts half of them. Others count all keys there may be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vp_jax.planning.hlo_text import HloShape, Instruction

Shapes = Mapping[str, tuple[HloShape, ...]]
"""Results of the instructions of a computation, by name."""

_SPLASH = {"fwd": 2, "dq": 3, "dkv": 4}
"""Products of the splash kernels: q k, p v; again q k, do v, ds k; again q k, do v, p do, ds q."""

_CUDNN = {False: 2, True: 5}
"""Products of cuDNN's attention, forward and backward: q k, p v; again q k, do v, p do, ds q, ds k."""


class Operations(NamedTuple):
    """Operations of an instruction, outside and inside of fused attention."""

    matmul: float = 0.0
    attention: float = 0.0


def operations(i: Instruction, shapes: Shapes) -> Operations:
    """Operations of one run of ``i``; those of computations that it calls are not among them."""
    if i.op == "dot":
        return Operations(_dot(i, shapes))
    if i.op == "convolution":
        return Operations(_convolution(i, shapes))
    if i.op != "custom-call":
        return Operations()
    target = re.search(r'custom_call_target="([^"]+)"', i.rest)
    name = target[1] if target else ""
    if name.startswith("__cublas$"):
        return Operations(_dot(i, shapes))
    if name.startswith("__cudnn$conv"):
        return Operations(_convolution(i, shapes, name))
    if name.startswith("__cudnn$fmha"):
        return Operations(attention=_attention(i, shapes, _CUDNN["Backward" in name], length=-3))
    if splash := re.search(r"splash_mha_(fwd|dq|dkv)", i.name + i.rest):
        return Operations(attention=_attention(i, shapes, _SPLASH[splash[1]], length=-2))
    return Operations()


def _dot(i: Instruction, shapes: Shapes) -> float:
    left = shapes[i.operands[0]][0].dims
    contracted = re.search(r'lhs_contracting_dim(?:s=\{|ensions":\[)([\d,"]*)', i.rest)
    dims = [int(d) for d in contracted[1].replace('"', "").split(",") if d] if contracted else []
    return 2.0 * math.prod(i.shapes[0].dims) * math.prod(left[d] for d in dims)


def _convolution(i: Instruction, shapes: Shapes, target: str = "") -> float:
    """Labels and window are those of the forward convolution, of its gradients too."""
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", i.rest)
    assert labels, i.rest[:200]
    first, second, result = shapes[i.operands[0]][0].dims, shapes[i.operands[1]][0].dims, i.shapes[0].dims
    base, kernel, out = first, second, result
    if "BackwardInput" in target:
        base, kernel, out = result, second, first
    elif "BackwardFilter" in target:
        base, kernel, out = first, result, second
    groups = re.search(r"batch_group_count=(\d+)", i.rest)
    flops = 2.0 * out[labels[3].index("b")] * out[labels[3].index("f")] * kernel[labels[2].index("i")]
    spatial = sorted(label for label in labels[3] if label.isdigit())
    for d, label in enumerate(spatial):
        flops *= _taps(
            base[labels[1].index(label)],
            kernel[labels[2].index(label)],
            out[labels[3].index(label)],
            {key: _window(i.rest, key, d) for key in ("stride", "pad", "lhs_dilate", "rhs_dilate")},
        )
    return flops / int(groups[1]) if groups else flops


def _window(rest: str, key: str, dimension: int) -> int:
    window = re.search(r"window=\{([^}]*)\}", rest)
    value = window and re.search(rf"\b{key}=([\d_x\-]+)", window[1])
    if not value:
        return 0 if key == "pad" else 1
    return int(value[1].split("x")[dimension].split("_")[0])


def _taps(base: int, kernel: int, out: int, window: Mapping[str, int]) -> int:
    """Pairs of output position and kernel tap along one dimension that meet a value, not padding or a dilation gap."""
    first, tap = np.arange(out) * window["stride"] - window["pad"], np.arange(kernel) * window["rhs_dilate"]
    at = first[:, None] + tap[None, :]
    inside = (at >= 0) & (at <= (base - 1) * window["lhs_dilate"]) & (at % window["lhs_dilate"] == 0)
    return int(inside.sum())


def _attention(i: Instruction, shapes: Shapes, products: int, *, length: int) -> float:
    """``products`` products of every query with every key; ``length``: the dimension of keys that counts them."""
    arrays = [shapes[name][0] for name in i.operands if shapes.get(name)]
    lengths = arrays if "__cudnn$" in i.rest else []
    heads = [a.dims for a in arrays if len(a.dims) >= 3 and a.kind in ("bf16", "f16", "f32")]
    assert len(heads) >= 3, i.rest[:200]
    queries, keys = heads[0], heads[1]
    paired = keys[length] == queries[length] and any(a.kind == "s32" and len(a.dims) == 1 for a in lengths)
    return 2.0 * products * math.prod(queries) * keys[length] * (0.5 if paired else 1.0)
