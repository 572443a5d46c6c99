"""Digests of arrays, the same on every mesh and on the host.

The digest is a sum over its elements, so that it does not depend on how the array is divided between
devices or processes, and each device sums its own part. With ``w_i`` the bits of element i (in row-major order) as a
32-bit word, all arithmetic modulo 2^32,

    h_i = mix(w_i + i * 0x9E3779B9),    digest = (sum_i h_i, sum_i mix'(h_i))

where ``mix`` and ``mix'`` are invertible, like the finalisers of hash functions: a change of one element always
changes the digest, any other damage with probability 1 - 2^-64. It finds damage, it is no protection against forgery.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_STEP, _FIRST, _SECOND, _THIRD = 0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35, 0x2C1B3C6D
_WORDS = 1 << 16
"""Words that the host mixes at once: they stay in the processor's cache."""
_ON_HOST = 64 << 20
"""Bytes of all arrays up to which accelerators leave them to the host: no program has to be compiled."""


def of_arrays(arrays: Mapping[str, Any]) -> dict[str, str]:
    """Digest of every array, with its type and shape: ``"float32[2,16] 0123456789abcdef"``.

    Arrays that are divided between processes are digested together: all processes call this alike.

    Args:
      arrays: path -> `jax.Array` or `numpy.ndarray`.
    """
    small = sum(x.nbytes for x in arrays.values()) <= _ON_HOST
    sums: dict[str, Any] = {}
    for path, x in arrays.items():
        if isinstance(x, jax.Array) and not (x.is_fully_addressable and (small or _lives_on_host(x))):
            sums[path] = _sums_on_devices(x)  # runs in the background: all are fetched together below
        else:
            sums[path] = sums_on_host(np.asarray(x))
    sums = jax.device_get(sums)
    return {path: "{} {:08x}{:08x}".format(describe(x), *map(int, sums[path])) for path, x in arrays.items()}


def _lives_on_host(x: jax.Array) -> bool:
    devices: set[Any] = x.sharding.device_set
    return all(device.platform == "cpu" for device in devices)


def describe(x: Any) -> str:
    """Type and shape of an array, as they stand before its digest."""
    return f"{np.dtype(x.dtype).name}[{','.join(map(str, x.shape))}]"


def sums_on_host(x: np.ndarray) -> tuple[int, int]:
    """The two sums of an array, by NumPy; an array of any size takes a few megabytes of memory."""
    x = np.ascontiguousarray(x).reshape(-1)
    words = x.view(np.uint32) if x.itemsize in (4, 8) else x.view(f"u{x.itemsize}")
    pieces = range(0, words.size, _WORDS)
    if len(pieces) < 64:
        parts = [_sums_of(words, begin) for begin in pieces]
    else:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            parts = list(pool.map(lambda begin: _sums_of(words, begin), pieces))
    return sum(first for first, _ in parts) % 2**32, sum(second for _, second in parts) % 2**32


@functools.cache
def _steps() -> np.ndarray:
    return np.arange(_WORDS, dtype=np.uint32) * np.uint32(_STEP)


def _sums_of(words: np.ndarray, begin: int) -> tuple[int, int]:
    piece = words[begin : begin + _WORDS]
    h = piece + _steps()[: piece.size]  # a narrow word becomes 32 bits wide
    h += np.uint32(begin * _STEP % 2**32)
    for shift, factor in ((16, _FIRST), (13, _SECOND), (16, 0)):
        h ^= h >> np.uint32(shift)
        if factor:
            h *= np.uint32(factor)
    first = int(h.sum(dtype=np.uint64))
    h ^= h >> np.uint32(15)
    h *= np.uint32(_THIRD)
    h ^= h >> np.uint32(12)
    return first, int(h.sum(dtype=np.uint64))


@jax.jit
def _sums_on_devices(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The two sums of an array, each device mixing what it holds; one program per shape and sharding."""
    x = jax.device_put(x, jax.memory.Space.Device)  # what waits in the host's memory
    if x.dtype == jnp.bool_:
        x = x.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(x, jnp.dtype(f"uint{8 * min(x.dtype.itemsize, 4)}")).astype(jnp.uint32)
    index, stride = jnp.zeros(words.shape, jnp.uint32), 1
    for axis in reversed(range(words.ndim)):
        index += jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis) * jnp.uint32(stride % 2**32)
        stride *= words.shape[axis]
    h = words + index * jnp.uint32(_STEP)
    h = (h ^ (h >> 16)) * jnp.uint32(_FIRST)
    h = (h ^ (h >> 13)) * jnp.uint32(_SECOND)
    h = h ^ (h >> 16)
    g = (h ^ (h >> 15)) * jnp.uint32(_THIRD)
    g = g ^ (g >> 12)
    return jnp.sum(h, dtype=jnp.uint32), jnp.sum(g, dtype=jnp.uint32)


def changed_arrays(stored: Mapping[str, str], read: Mapping[str, str]) -> list[str]:
    """Arrays of ``read`` that are not what was stored, one line each."""
    return [
        f"{path} is {read[path]}, stored was {stored.get(path, 'nothing')}"
        for path in read
        if read[path] != stored.get(path)
    ]
