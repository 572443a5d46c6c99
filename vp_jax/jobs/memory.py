"""Memory of this process and of its first device."""

from __future__ import annotations

import contextlib
import os
import resource
import sys


def peak_memory() -> dict[str, int]:
    """Peak bytes of this process, and of its first device where it counts them."""
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "host_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        **_device("device_peak", "peak_bytes_in_use"),
    }


def used_memory() -> dict[str, int]:
    """Bytes that this process and its first device hold now, as far as they are counted."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm") as file:
        found["host"] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {**found, **_device("device", "bytes_in_use")}


def _device(name: str, count: str) -> dict[str, int]:
    import jax  # seconds

    value = (jax.local_devices()[0].memory_stats() or {}).get(count)
    return {} if value is None else {name: int(value)}
