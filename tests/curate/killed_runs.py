"""Kills a run at random moments until it ends: python -m tests.curate.killed_runs SOURCES OUT KILLS

Modules are imported once; each run is a fork that is killed when a random number of results more is done.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tests.curate.small_run import small_run
from vp_jax.curate.store import StageStore


def results_in(root: Path) -> int:
    """Results that were computed so far."""
    return sum(file.read_bytes().count(b"\n") for file in (root / "work" / "done").glob("*.jsonl"))


def killed(sources: Path, root: Path, kills: int) -> int:
    """Run until the end, killed ``kills`` times at most; how often it was."""
    draws, count = random.Random(7), 0
    while True:
        wanted = results_in(root) + draws.randint(1, 12)
        pid = os.fork()
        if not pid:
            small_run(sources, root)
            os._exit(0)
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if count < kills and results_in(root) >= wanted:
                time.sleep(draws.random() * 0.02)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                count += 1
                break
            time.sleep(0.01)
        else:
            return count


if __name__ == "__main__":
    out = Path(sys.argv[2])
    times = killed(Path(sys.argv[1]), out, int(sys.argv[3]))
    counts = StageStore(out).computed()
    print(json.dumps({"kills": times, "results": len(counts), "most": max(counts.values())}))
