"""Reading NumPy files (.npy, .npz) with limits: what a file declares is checked before anything of it is unpacked.

Everything that opens an array file goes through `opened_arrays`. It refuses, in one line that names the file:

* what is not a regular file, not NumPy's format, damaged or cut short (checksums are read to the end);
* encrypted members, and compression other than that of ``np.savez`` and ``np.savez_compressed``;
* objects, which would need pickle, and every other type than numbers and booleans;
* shapes that the stored bytes do not fill, and arrays larger than the caller can need.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from vp_jax.errors import UserError
from vp_jax.media.inputs import open_regular, reason
from vp_jax.reading import show

MOST_BYTES = 4 << 30
"""Unpacked bytes of an array that is read as one, unless the caller asks for more."""

MOST_HEADER = 64 << 10
"""Bytes of the largest array header; NumPy writes 118."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BEST_RATIO = 1040  # deflate packs no better than 1032 to 1
_FAULTS = (OSError, zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Array:
    """An array in an open file: what its header declares, and how to read it.

    Attributes:
      name: of the member in an .npz, "" in an .npy.
      shape, dtype, fortran_order: as declared.
    """

    file: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    _stored: zipfile.ZipFile | IO[bytes]

    @property
    def label(self) -> str:
        """File and array as an error names them."""
        return f"{self.file}: {self.name}" if self.name else self.file

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self, most_bytes: int = MOST_BYTES) -> np.ndarray:
        """The array in C order. `UserError` if it is damaged, or larger than ``most_bytes``."""
        if self.nbytes > most_bytes:
            raise UserError(
                f"{self.label}: {self.dtype} of shape {self.shape} unpacks to {self.nbytes / 2**20:,.0f} MiB, expected "
                f"at most {most_bytes / 2**20:,.0f}"
            )
        values = np.empty(math.prod(self.shape), self.dtype)
        with self._data() as stream:
            _fill(stream, values, self.label)
        return np.asarray(values.reshape(self.shape, order="F" if self.fortran_order else "C"), order="C")

    def rows(self) -> Iterator[np.ndarray]:
        """Yield ``array[0]``, ``array[1]`` ..., holding one at a time unless the array is in Fortran order.

        The same memory is used for every row. The stored checksum is compared after the last one.

        Raises:
          UserError: damaged or cut short.
        """
        if self.fortran_order:
            yield from self.read()
            return
        row = np.empty(self.shape[1:], self.dtype)
        with self._data() as stream:
            for index in range(self.shape[0]):
                _fill(stream, row.reshape(-1), self.label, last=index == self.shape[0] - 1)
                yield row

    @contextlib.contextmanager
    def _data(self) -> Iterator[IO[bytes]]:
        """The stored bytes behind the header."""
        with _faults(self.label), contextlib.ExitStack() as stack:
            if isinstance(self._stored, zipfile.ZipFile):
                stream: IO[bytes] = stack.enter_context(self._stored.open(f"{self.name}.npy"))
            else:
                stream = self._stored
                stream.seek(0)
            _header(stream)
            yield stream


@contextlib.contextmanager
def opened_arrays(source: str | Path | bytes) -> Iterator[dict[str, Array]]:
    """Arrays of an .npz by name, or of an .npy under "", checked as the module says and not read yet.

    Args:
      source: a path, or the bytes of a file.

    Raises:
      UserError: it is refused.
    """
    name = "stored arrays" if isinstance(source, bytes) else show(source)
    with contextlib.ExitStack() as stack:
        file: IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else stack.enter_context(open_regular(source))
        with _faults(name):
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                file.seek(0)
                found = {"": _declared(file, name, "", size, file)}
            else:
                archive = stack.enter_context(zipfile.ZipFile(file))
                found = {}
                for member in archive.infolist():
                    array = _member(archive, member, name, size)
                    if found.setdefault(array.name, array) is not array:
                        raise UserError(f"{name}: holds {show(array.name)} twice")
        yield found


def read_arrays(
    source: str | Path | bytes, names: Sequence[str] | None = None, *, kinds: str = "biuf", most_bytes: int = MOST_BYTES
) -> dict[str, np.ndarray]:
    """Arrays of an .npz, all of them or those in ``names``; an .npy has one, named "".

    Args:
      source: a path, or the bytes of a file.
      names: of the arrays to read; ``None``: all.
      kinds: letters of ``dtype.kind`` that are expected.
      most_bytes: that the arrays may take together, unpacked.

    Raises:
      UserError: refused, or a name is missing.
    """
    with opened_arrays(source) as found:
        file = next((array.file for array in found.values()), str(source)[:80])
        missing = [name for name in names or () if name not in found]
        if missing:
            raise UserError(f"{file}: holds {_listed(list(found))}, expected {_listed(list(names or ()))}")
        chosen = found if names is None else {name: found[name] for name in names}
        for array in chosen.values():
            if array.dtype.kind not in kinds:
                raise UserError(
                    f"{array.label}: {array.dtype} of shape {array.shape}, expected kind {' or '.join(kinds)}"
                )
        left, values = most_bytes, {}
        for name, array in chosen.items():
            values[name] = array.read(left)
            left -= array.nbytes
        return values


def read_array(source: str | Path | bytes, *, kinds: str = "biuf", most_bytes: int = MOST_BYTES) -> np.ndarray:
    """The array of an .npy. Raises `UserError`."""
    return read_arrays(source, ("",), kinds=kinds, most_bytes=most_bytes)[""]


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: str, size: int) -> Array:
    name = member.filename.removesuffix(".npy")
    if name == member.filename:
        raise UserError(f"{file}: holds {show(member.filename)}, expected arrays (.npy) only")
    if member.flag_bits & 0x1:
        raise UserError(f"{file}: {show(name)} is encrypted; save it without a password")
    if member.compress_type not in _METHODS:
        raise UserError(f"{file}: {show(name)} is packed by method {member.compress_type}; use np.savez_compressed")
    if member.compress_size > size or member.file_size > _BEST_RATIO * max(member.compress_size, 1):
        raise UserError(f"{file}: {show(name)} is damaged: its sizes cannot be true")
    with archive.open(member) as stream:
        return _declared(stream, file, name, member.file_size, archive)


def _declared(stream: IO[bytes], file: str, name: str, size: int, stored: zipfile.ZipFile | IO[bytes]) -> Array:
    """The array that a header declares, if ``size`` bytes (header included) hold exactly that."""
    label = f"{file}: {show(name)}" if name else file
    shape, fortran_order, dtype, header = _header(stream)
    if dtype.kind not in "biufc":
        raise UserError(f"{label}: holds {dtype}, expected numbers")
    if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize != size - header:
        raise UserError(f"{label}: declares {dtype} of shape {shape}, but {size - header:,} bytes are stored")
    return Array(file, name, shape, dtype, fortran_order, stored)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, type and the header's own length. `ValueError` for anything that is no header."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {version[0]}.{version[1]} is unknown")
    counted = _Counted(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran_order, dtype = read(counted)
    except Exception as error:  # the header is a Python literal: damage raises whatever its parser does
        raise ValueError(f"damaged array header: {reason(error)}") from error
    if not all(isinstance(side, int) for side in shape):
        raise ValueError(f"damaged array header: shape {shape}")
    return tuple(int(side) for side in shape), bool(fortran_order), dtype, counted.taken + 8


class _Counted(io.RawIOBase):
    """Counts the bytes that are read of a stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.taken = stream, 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_HEADER:
            raise ValueError(f"it claims {size:,} bytes")
        content = self._stream.read(size)
        self.taken += len(content)
        return content


def _fill(stream: IO[bytes], values: np.ndarray, label: str, last: bool = True) -> None:
    """Fill a flat array from a stream; after the ``last`` read the stream must be at its end, which checks its sum."""
    view = values.view(np.uint8).data if values.size else memoryview(b"")
    done = 0
    while done < len(view):
        part = stream.read(min(1 << 20, len(view) - done))
        if not part:
            raise UserError(f"{label}: breaks off after {done:,} of {len(view):,} bytes")
        view[done : done + len(part)] = part
        done += len(part)
    if last and stream.read(1):
        raise UserError(f"{label}: holds more bytes than it declares")


@contextlib.contextmanager
def _faults(label: str) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        raise UserError(f"{label}: cannot be read as a NumPy file ({reason(error)})") from error


def _listed(names: list[str]) -> str:
    quoted = [repr(name) if name else "one array (.npy)" for name in sorted(names)[:8]]
    return (", ".join(quoted) or "nothing") + (" ..." if len(names) > 8 else "")
