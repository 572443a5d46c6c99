"""PyTorch files (.pt, .pth, .bin) of plain tensors. PyTorch is needed here alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from vp_jax.convert.tensors import Tensor
from vp_jax.errors import UserError
from vp_jax.reading import check_regular, reading, show
from vp_jax.schema import listed

PICKLE_SUFFIXES = (".bin", ".pt", ".pth")
_MOST_WRAPPERS = 8
"""Dicts of one entry around the tensors, ``{"state_dict": {...}}``: one that holds itself has no end."""


def read_pickle(path: Path) -> dict[str, Tensor]:
    """All tensors of a PyTorch file, mapped into memory where its format allows.

    Raises:
      UserError: PyTorch is not installed; unreadable or truncated; something else than a dict of plain tensors:
        sparse, quantised, 8-bit or complex ones, ones without values (meta), ones that a few stored values are
        stretched to.
    """
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"{show(path)} is a PyTorch pickle and PyTorch is not installed: install vp_jax[torch], or use a "
            f"safetensors file"
        ) from error
    state = _load(check_regular(path))
    for _ in range(_MOST_WRAPPERS):
        if isinstance(state, Mapping) and len(state) == 1 and isinstance(next(iter(state.values())), Mapping):
            state = next(iter(state.values()))
    if not isinstance(state, Mapping):
        raise UserError(f"{show(path)} holds {type(state).__name__}: expected a flat dict of tensors")
    strange = [show(key)[:60] for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange:
        raise UserError(f"{show(path)} holds {strange[:5]} beside tensors: expected a flat dict of tensors")
    faults = [f"{show(key)[:100]} is {what}" for key, value in state.items() if (what := _strange(key, value))]
    if faults:
        raise UserError(f"{show(path)}: {listed(faults)}; expected plain tensors: save them as float32 or bfloat16")
    return {key: _lazy(value.detach()) for key, value in state.items()}


def _load(path: Path) -> Any:
    import torch

    with reading(path):
        path.open("rb").close()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sparse and quantised tensors, which are refused
            try:
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError:  # files from before PyTorch 1.6 cannot be mapped
                return torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except Exception as error:
        reason = show(f"{type(error).__name__} {error}".strip().splitlines()[0])[:120]
        raise UserError(
            f"{show(path)} is not a complete PyTorch file of plain tensors ({reason}): download it again"
        ) from error


def _strange(key: object, tensor: Any) -> str:
    """What is wrong with an entry; empty if it is a plain tensor under a name."""
    import torch

    if not isinstance(key, str):
        return "a number instead of a name"
    if tensor.layout != torch.strided or tensor.is_nested:
        return f"sparse ({str(tensor.layout).removeprefix('torch.')})"
    if tensor.is_meta:
        return "without values (on the meta device)"
    if tensor.is_quantized:
        return f"quantised ({str(tensor.dtype).removeprefix('torch.')})"
    if tensor.dtype not in _types():
        return f"of type {str(tensor.dtype).removeprefix('torch.')}"
    stored = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > stored:
        return f"{tuple(tensor.shape)} stretched from {stored} bytes"
    return ""


def _types() -> set[Any]:
    import torch

    floats = {torch.float64, torch.float32, torch.float16, torch.bfloat16}
    return floats | {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool}


def _lazy(tensor: Any) -> Tensor:
    empty = _numpy(tensor[:0] if tensor.ndim else tensor)
    return Tensor(tuple(tensor.shape), empty.dtype, lambda: _numpy(tensor))


def _numpy(tensor: Any) -> np.ndarray:
    import torch

    tensor = tensor.resolve_conj().resolve_neg().contiguous()
    array: np.ndarray
    if tensor.dtype == torch.bfloat16:
        array = tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    else:
        array = tensor.numpy()
    return array
