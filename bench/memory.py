"""Peak memory of a sampling job by the length of its video: nano, each run in a process of its own.

    python -m bench.memory                              100 and 1,000 frames at 96x64 and 1920x1080
    python -m bench.memory --frames 20 100 --sizes 96x64

The ratio in the last column is that of the longest video to the shortest: 1.0 is memory that does not grow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from vp_jax.cli.program import run_cli

GIB = 2**30


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--sizes", nargs="+", default=["96x64", "1920x1080"], help="of the video, WIDTHxHEIGHT")
    parser.add_argument("--steps", type=int, default=1, help="denoising steps of each window")
    parser.add_argument("--child", nargs=3, metavar=("FRAMES", "SIZE", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        _run(int(args.child[0]), args.child[1], Path(args.child[2]), args.steps)
        return
    print(f"peak GiB of a job, {args.steps} steps; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'size':>12}" + "".join(f"{f'{frames} frames':>20}" for frames in args.frames) + f"{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for size in args.sizes:
            peaks = []
            print(f"{size:>12}", end="", flush=True)
            for frames in args.frames:
                begin = time.perf_counter()
                peaks.append(_peak(frames, size, folder, args.steps))
                print(f"{peaks[-1] / GIB:>11.3f} {time.perf_counter() - begin:6.0f} s", end="", flush=True)
            print(f"{peaks[-1] / peaks[0]:>8.2f}")


def _peak(frames: int, size: str, folder: str, steps: int) -> int:
    """Bytes. The films are made in another process: a child's count starts at what its parent had."""
    command = [sys.executable, "-m", "bench.memory", "--steps", str(steps), "--child", str(frames), size, folder]
    subprocess.run(
        [sys.executable, "-c", "import sys; from pathlib import Path; from bench.moving_film import make_film;"
         "make_film(Path(sys.argv[1]), *map(int, sys.argv[2:]))", folder, str(frames), *reversed(size.split("x"))],
        check=True,
    )  # fmt: skip
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1])


def _run(frames: int, size: str, folder: Path, steps: int) -> None:
    """One job; its last word is the peak."""
    from bench.moving_film import make_film
    from bench.timing import peak_host_bytes
    from vp_jax.jobs.job import Job
    from vp_jax.jobs.run import run

    width, height = map(int, size.split("x"))
    film = make_film(folder, frames, height, width)
    job = Job(
        video=film.video, mask=film.mask, out=folder / f"out_{size}_{frames}.mp4", prompt="a red circle moves",
        settings={"steps": steps}, keep_job=False,
    )  # fmt: skip
    for _ in run(job):
        pass
    print(peak_host_bytes())


if __name__ == "__main__":
    run_cli(main)
