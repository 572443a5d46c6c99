"""Files of VideoMAE-v2 (Wang et al. 2023, arXiv 2303.16727) under the names and the ``config.json`` of transformers.

A fine-tuned model, such as ``vit_g_hybrid_pt_1200e_ssv2_ft.pth``, is a VideoMAE of another size. Its file holds
queries, keys and values as one matrix, and has no ``config.json``: all sizes but the number of heads are those of its
tensors.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from vp_jax.convert.tensors import Tensor
from vp_jax.errors import UserError

_PATCHES, _QKV = "patch_embed.proj.weight", re.compile(r"(blocks\.\d+\.attn\.)qkv\.weight")
_HEADS = {384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16}
"""Heads of the small, base, large, huge and giant model, by their width."""
_EPSILON = 1e-6
_NAMES = (
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^head\.", "classifier."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.norm1\.", ".layernorm_before."),
    (r"\.norm2\.", ".layernorm_after."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.attn\.(q_bias|v_bias|query|key|value)\b", r".attention.attention.\1"),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)


def as_videomae(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and values of ``config.json`` as transformers has them; those of other files are returned as they are.

    Raises:
      UserError: a model of an unknown width.
    """
    patches = tensors.get(_PATCHES)
    if patches is None or len(patches.shape) != 5:
        return dict(tensors), dict(values)
    width, _, tubelet, patch, _ = patches.shape
    if width not in _HEADS:
        raise UserError(f"VideoMAE-v2 of width {width}: expected one of {', '.join(map(str, _HEADS))}")
    split: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        found = _QKV.fullmatch(key)
        if found and tensor.shape == (3 * width, width):
            parts = (_rows(tensor, slice(k * width, (k + 1) * width)) for k in range(3))
            split |= {f"{found[1]}{name}.weight": part for name, part in zip(("query", "key", "value"), parts)}
        else:
            split[key] = tensor
    hidden = tensors["blocks.0.mlp.fc1.weight"].shape[0] if "blocks.0.mlp.fc1.weight" in tensors else 4 * width
    sizes = {
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": sum(_QKV.fullmatch(key) is not None for key in tensors),
        "num_attention_heads": _HEADS[width],
        "patch_size": patch,
        "tubelet_size": tubelet,
        "layer_norm_eps": _EPSILON,
        "fc_norm_eps": _EPSILON,
    }
    return {_name(key): tensor for key, tensor in split.items()}, {**sizes, **values}


def _name(key: str) -> str:
    for pattern, name in _NAMES:
        key = re.sub(pattern, name, key)
    return key


def _rows(tensor: Tensor, rows: slice) -> Tensor:
    """Some rows of a stored matrix, read when they are asked for."""

    def read() -> np.ndarray:
        return np.asarray(tensor)[rows]

    return dataclasses.replace(tensor, shape=(rows.stop - rows.start, *tensor.shape[1:]), read=read)
