"""What `python sample.py` without arguments waits for: nano, once with nothing compiled and then with everything kept.

    python -m bench.start_up                one cold run, two warm ones
    python -m bench.start_up --programs     seconds of every program, too

Each run is a process of its own. Processor seconds are those of all its threads and hold on a busy machine, seconds do
not. ``compiled`` is the time in XLA's compiler, or in reading what it left, of all threads together: decoding is
compiled in a thread beside the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.timing import busy_machine
from vp_jax.cli.program import run_cli

EVENTS = {
    "jaxpr_trace_duration": "traced",
    "jaxpr_to_mlir_module_duration": "lowered",
    "backend_compile_duration": "compiled",
}
"""What JAX reports about its programs, and what the table calls it."""


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warm", type=int, default=2, help="runs after the first")
    parser.add_argument("--programs", action="store_true", help="list programs that take over 0.1 s")
    parser.add_argument("--child", metavar="FOLDER", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        run_once(args.child)
        return
    print(busy_machine())
    print(f"{'run':8}{'s':>8}{'processor s':>13}{'peak MB':>9}{'programs':>10}" + _columns(EVENTS.values()))
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1 + args.warm):
            found = measured(Path(folder))
            times = [found["events"].get(name, {}) for name in EVENTS]
            print(
                f"{'warm' if number else 'cold':8}{found['seconds']:8.1f}{found['processor']:13.1f}"
                f"{found['peak'] / 1e6:9.0f}{found['programs']:10d}"
                + _columns(f"{sum(seconds.values()):.1f}" for seconds in times),
                flush=True,
            )
            for name, seconds in times[-1].items():
                if args.programs and seconds > 0.1:
                    print(f"{'':8}{seconds:8.1f} {name}")


def _columns(texts: Iterable[str]) -> str:
    return "".join(f"{text:>10}" for text in texts)


def measured(folder: Path) -> dict[str, Any]:
    """One run in a process of its own: seconds, processor seconds, bytes, what JAX reports.

    Args:
      folder: holds what is compiled from run to run.
    """
    command, begin = [sys.executable, "-m", "bench.start_up", "--child", str(folder)], time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return {"seconds": time.perf_counter() - begin, **json.loads(done.stdout.splitlines()[-1])}


def run_once(folder: Path) -> None:
    """`python sample.py` in this process; prints a line of JSON at its end."""
    import jax

    events: dict[str, dict[str, float]] = {}
    programs = 0

    def note(name: str, seconds: float, **about: object) -> None:
        nonlocal programs
        name = name.rpartition("/")[2]
        if name in EVENTS:
            of_name, program = events.setdefault(name, {}), str(about.get("fun_name"))
            of_name[program] = of_name.get(program, 0.0) + seconds
            programs += name == "backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(note)
    from vp_jax.cli.main import run

    with tempfile.TemporaryDirectory() as out:
        flags = ["--out", os.path.join(out, "nano.mkv"), "--compilation_cache", str(folder / "kept")]
        run(["sample", *flags], "python sample.py")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"processor": time.process_time(), "peak": peak, "programs": programs, "events": events}))


if __name__ == "__main__":
    run_cli(main)
