"""PyTorch checkpoint files: lazy readers (safetensors, shards, torch pickles) and a streaming safetensors writer.

A reader is a mapping from tensor name to `Tensor`, which knows its shape and type and is read only when NumPy asks
for it. bfloat16 is `ml_dtypes.bfloat16` throughout, never a detour through float32.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from vp_jax.errors import UserError
from vp_jax.files import replacing

STEMS = ("diffusion_pytorch_model", "model", "pytorch_model", "pytorch_lora_weights")
TORCH_SUFFIXES = (".bin", ".pt", ".pth")

_TYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_NAMES = {np.dtype(kind): name for name, kind in _TYPES.items()}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A stored tensor; ``np.asarray`` reads it."""

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(), dtype)

    @property
    def nbytes(self) -> int:
        """Stored bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


def find_weights(place: str | Path) -> Path:
    """The weights of a model folder (an ``*.index.json`` stands for its shards), or the file itself.

    Raises:
      UserError: nothing there, or several files and no way to choose.
    """
    place = Path(place)
    if place.is_file():
        return place
    if not place.is_dir():
        raise UserError(f"{place}: no such file or folder, expected a checkpoint")
    for stem in STEMS:
        for suffix in (".safetensors", *TORCH_SUFFIXES):
            for name in (f"{stem}{suffix}.index.json", f"{stem}{suffix}"):
                if (place / name).is_file():
                    return place / name
    # variants such as diffusion_pytorch_model.fp16.safetensors, or any single file
    files = sorted(p for p in place.iterdir() if p.suffix in (".safetensors", *TORCH_SUFFIXES))
    if len(files) == 1 and not re.search(r"-\d+-of-\d+", files[0].name):
        return files[0]
    raise UserError(
        f"{place} holds {[p.name for p in files] or 'no weights'}: expected one of "
        f"{[f'{stem}.safetensors' for stem in STEMS]}, a *.safetensors.index.json with its shards, or "
        f"one .bin/.pt/.pth file; or name the file itself"
    )


def read_tensors(place: str | Path) -> dict[str, Tensor]:
    """All tensors of a file, of the shards of an ``*.index.json``, or of a model folder (see `find_weights`).

    Raises:
      UserError: missing, truncated or corrupt files; an index that disagrees with its shards; no PyTorch for a pickle.
    """
    path = find_weights(place)
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    return _read_torch(path) if path.suffix in TORCH_SUFFIXES else _read_safetensors(path)


def read_json(path: str | Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
      UserError: missing, or something else.
    """
    try:
        values = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0]
        raise UserError(f"{path}: {reason}; expected the JSON file of the original checkpoint") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object, got {type(values).__name__}")
    return values


def _read_shards(index: Path) -> dict[str, Tensor]:
    where = read_json(index).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise UserError(f"{index} has no weight_map: download it again")
    shards = sorted(set(where.values()))
    missing = [name for name in shards if not (index.parent / name).is_file()]
    if missing:
        raise UserError(f"{index.parent} lacks {missing} of {len(shards)} shards: finish the download")
    stored = {name: read_tensors(index.parent / name) for name in shards}
    faults = [
        f"- {key}: in {name}, not in the index" for name in shards for key in stored[name] if where.get(key) != name
    ]
    faults += [f"+ {key}: not in {name}" for key, name in where.items() if key not in stored[name]]
    if faults:
        raise UserError(f"{index} disagrees with its shards: " + "; ".join(faults))
    return {key: stored[name][key] for name in shards for key in stored[name]}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        file = safetensors.safe_open(path, framework="np")
        tensors = {}
        for key in file.keys():
            view = file.get_slice(key)
            if view.get_dtype() not in _TYPES:
                raise UserError(f"{path}: {key} has type {view.get_dtype()}, expected one of {sorted(_TYPES)}")

            def read(key: str = key) -> np.ndarray:
                return file.get_tensor(key)

            tensors[key] = Tensor(tuple(view.get_shape()), np.dtype(_TYPES[view.get_dtype()]), read)
    except (safetensors.SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a complete safetensors file ({error}): download it again") from error
    return tensors


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            f"{path} is a PyTorch pickle and PyTorch is not installed: install vp_jax[torch], or use a safetensors file"
        ) from error

    def load(mmap: bool) -> Any:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)

    try:
        try:
            state = load(mmap=True)
        except RuntimeError:
            state = load(mmap=False)  # files from before PyTorch 1.6 cannot be mapped
    except Exception as error:
        reason = f"{type(error).__name__} {error}".splitlines()[0][:120]
        raise UserError(
            f"{path} is not a complete PyTorch file of plain tensors ({reason}): download it again"
        ) from error
    while isinstance(state, Mapping) and len(state) == 1 and isinstance(next(iter(state.values())), Mapping):
        state = next(iter(state.values()))  # {"state_dict": {...}}
    strange = (
        [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
        if isinstance(state, Mapping)
        else [type(state).__name__]
    )
    if strange:
        raise UserError(f"{path} holds {strange[:5]} beside tensors: expected a flat dict of tensors")

    def numpy(tensor: Any) -> np.ndarray:
        if tensor.dtype == torch.bfloat16:
            return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.contiguous().numpy()

    def lazy(tensor: Any) -> Tensor:
        return Tensor(tuple(tensor.shape), numpy(tensor[:0] if tensor.ndim else tensor).dtype, lambda: numpy(tensor))

    return {key: lazy(tensor.detach()) for key, tensor in state.items()}


def write_tensors(path: str | Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file tensor by tensor; it appears under its name only when complete.

    Args:
      path: the file.
      tensors: name -> array or `Tensor`, of any memory layout.
      metadata: strings for the header; ``{"format": "pt"}`` is what the original program expects, and the default.
    """
    path = Path(path)
    # widest types first, so that every tensor is aligned to its type
    order = sorted(tensors, key=lambda key: (-np.dtype(tensors[key].dtype).itemsize, key))
    header: dict[str, Any] = {"__metadata__": dict(metadata or {"format": "pt"})}
    end = 0
    for key in order:
        shape, kind = tuple(tensors[key].shape), np.dtype(tensors[key].dtype)
        start, end = end, end + int(np.prod(shape)) * kind.itemsize
        header[key] = {"dtype": _NAMES[kind], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as partial, partial.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for key in order:
            file.write(
                np.ascontiguousarray(np.asarray(tensors[key])).view(np.uint8).data
                if len(tensors[key].shape)
                else np.asarray(tensors[key]).tobytes()
            )
