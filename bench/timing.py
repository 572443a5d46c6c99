"""Timing of several candidates in one process: turns, medians, processor time, load, the machine and its versions.

Threads of PyTorch's OpenMP spin for a while after each call and take the processors from the next candidate: the
package `bench` puts them to sleep. Beside the wall time stands the processor time of this process, all threads. While
other processes take more than `LOAD` of a core on average, `report` refuses: wall times say nothing then. With
``VP_JAX_BENCH_ANY_LOAD=1`` it gives processor times alone, and says so.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vp_jax.errors import UserError

LOAD = 0.25
"""Cores that other processes may take, on average, while candidates are timed."""

ANY_LOAD = "VP_JAX_BENCH_ANY_LOAD"


class Times(NamedTuple):
    """Times of some candidates, called in turn.

    Attributes:
      wall: seconds of every call, by candidate.
      processor: seconds of all cores together.
      others: cores that other processes took meanwhile, on average; ``None`` where the system does not say.
    """

    wall: dict[str, list[float]]
    processor: dict[str, list[float]]
    others: float | None


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


def busy_machine() -> str:
    """`machine` and the load of the last minute, which belongs to every time and to no other figure."""
    return f"{machine()}; load {os.getloadavg()[0]:.1f}"


def interleaved(candidates: dict[str, Callable[[], object]], *, runs: int, warmup: int = 1) -> Times:
    """Times of every candidate, called in turn A B A B ... after ``warmup`` rounds that do not count."""
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    processor: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(warmup):
        for call in candidates.values():
            call()
    start, busy, own = time.perf_counter(), _busy_seconds(), time.process_time()
    for _ in range(runs):
        for name, call in candidates.items():
            begin, used = time.perf_counter(), time.process_time()
            call()
            wall[name].append(time.perf_counter() - begin)
            processor[name].append(time.process_time() - used)
    end = _busy_seconds()
    if busy is None or end is None:
        return Times(wall, processor, None)
    taken = end - busy - (time.process_time() - own)
    return Times(wall, processor, max(0.0, taken / (time.perf_counter() - start)))


def _busy_seconds() -> float | None:
    """Seconds that all cores of this machine have computed so far; ``None`` where the system does not say."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _, _, interrupt, soft, *_ = (int(value) for value in file.readline().split()[1:])
    except (OSError, ValueError):
        return None
    return (user + nice + system + interrupt + soft) / os.sysconf("SC_CLK_TCK")


def report(title: str, times: Times, ours: str, theirs: str) -> str:
    """Medians, spread and the ratio of medians, one line each.

    Raises:
      UserError: other processes took too much of the machine.
    """
    loaded = times.others is not None and times.others > LOAD
    if loaded and not os.environ.get(ANY_LOAD):
        raise UserError(
            f"other processes took {times.others:.2f} cores while candidates were timed: expected at most {LOAD}; stop "
            f"them and try again, or set {ANY_LOAD}=1 for processor times alone"
        )
    lines = [f"{title}{f' (others took {times.others:.2f} cores: processor times only)' if loaded else ''}"]
    for name in times.wall:
        wall, processor = times.wall[name], times.processor[name]
        walls = f"median {_ms(statistics.median(wall))}   min {_ms(min(wall))}   max {_ms(max(wall))}   "
        lines.append(
            f"  {name:<22} {'' if loaded else walls}processor {_ms(statistics.median(processor))}   ({len(wall)} runs)"
        )
    if theirs in times.wall:
        ratios = [statistics.median(seconds[ours]) / statistics.median(seconds[theirs]) for seconds in times[:2]]
        lines.append(f"  {ours} / {theirs}: {'' if loaded else f'{ratios[0]:.2f}, '}processor time {ratios[1]:.2f}")
    return "\n".join(lines)


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:9.1f} ms"


def peak_host_bytes() -> int:
    """Largest resident size of this process so far.

    Linux passes `ru_maxrss` of the process that started this one on to it, so the size is read from its own status.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(found["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def command() -> str:
    """The command line, for the record."""
    return "python -m " + " ".join([sys.modules["__main__"].__spec__.name, *sys.argv[1:]])  # type: ignore[union-attr]
