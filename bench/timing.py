"""Timing of several candidates in one process: interleaved runs, medians, the machine and its versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable


def machine() -> str:
    """One line: processor, cores, memory, accelerator, library versions."""
    import jax

    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = []
    for name in ("jax", "flax", "torch", "diffusers"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} absent")
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {jax.devices()[0].device_kind}; "
        f"Python {platform.python_version()}, {', '.join(versions)}"
    )


def interleaved(candidates: dict[str, Callable[[], object]], *, runs: int, warmup: int = 1) -> dict[str, list[float]]:
    """Wall seconds of every candidate, called in turn A B A B ... after ``warmup`` rounds that do not count."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(warmup + runs):
        for name, call in candidates.items():
            begin = time.perf_counter()
            call()
            if round_number >= warmup:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def report(title: str, seconds: dict[str, list[float]], ours: str, theirs: str) -> str:
    """Medians, spread and the ratio of medians, one line each."""
    lines = [title]
    for name, values in seconds.items():
        lines.append(
            f"  {name:<22} median {statistics.median(values) * 1e3:9.1f} ms   "
            f"min {min(values) * 1e3:9.1f}   max {max(values) * 1e3:9.1f}   ({len(values)} runs)"
        )
    if theirs in seconds:
        ratio = statistics.median(seconds[ours]) / statistics.median(seconds[theirs])
        lines.append(f"  {ours} / {theirs}: {ratio:.2f}")
    return "\n".join(lines)


def peak_host_bytes() -> int:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def command() -> str:
    """The command line, for the record."""
    return "python -m " + " ".join([sys.modules["__main__"].__spec__.name, *sys.argv[1:]])  # type: ignore[union-attr]
