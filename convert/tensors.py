"""Stored tensors that are read one at a time, and the safetensors files that hold them.

bfloat16 is `ml_dtypes.bfloat16` throughout, never a detour through float32.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from vp_jax.errors import UserError
from vp_jax.files import replacing
from vp_jax.reading import check_regular, reading, show

TYPES = {
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
"""Types of safetensors files that are read and written."""
_NAMES = {np.dtype(kind): name for name, kind in TYPES.items()}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A stored tensor; ``np.asarray`` reads it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[], np.ndarray]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(), dtype)

    @property
    def nbytes(self) -> int:
        """Stored bytes."""
        return math.prod(self.shape) * int(self.dtype.itemsize)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
      UserError: unreadable, truncated or corrupt (offsets that overlap or leave the file), or a type such as 8-bit
        floats that no released checkpoint has.
    """
    with _opened(path) as file:
        tensors = {}
        for key in file.keys():
            view = file.get_slice(key)
            kind = view.get_dtype()
            if kind not in TYPES:
                raise UserError(f"{show(path)}: {show(key)} has type {kind}, expected one of {', '.join(TYPES)}")
            tensors[key] = Tensor(tuple(view.get_shape()), np.dtype(TYPES[kind]), _reader(path, file, key))
        return tensors


def read_header(path: Path) -> dict[str, str]:
    """The texts that a program left in the header of a safetensors file.

    Raises:
      UserError: see `read_safetensors`.
    """
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Context of an open safetensors file, in which its faults become `UserError`."""
    check_regular(path)
    with reading(path):
        path.open("rb").close()
    try:
        yield safetensors.safe_open(path, framework="np")
    except UserError:
        raise
    except Exception as error:
        reason = show(" ".join(str(error).split()))[:200]
        raise UserError(f"{show(path)} is not a complete safetensors file ({reason}): download it again") from error


def _reader(path: Path, file: Any, key: str) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        try:
            array: np.ndarray = file.get_tensor(key)
        except Exception as error:  # changed since its header was read
            raise UserError(f"{show(path)}: {show(key)} cannot be read ({error}): download it again") from error
        return array

    return read


def write_tensors(path: str | Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write a safetensors file tensor by tensor; it appears under its name only when complete.

    Args:
      path: the file.
      tensors: name -> array or `Tensor`, of any memory layout.
      metadata: strings for the header, beside ``{"format": "pt"}``, which the original program expects.
    """
    path = Path(path)
    # widest types first, so that every tensor is aligned to its type
    order = sorted(tensors, key=lambda key: (-np.dtype(tensors[key].dtype).itemsize, key))
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    end = 0
    for key in order:
        shape, kind = tuple(tensors[key].shape), np.dtype(tensors[key].dtype)
        start, end = end, end + math.prod(shape) * int(kind.itemsize)
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
