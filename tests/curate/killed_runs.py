"""Kills a run at random moments until it ends.

    python -m tests.curate.killed_runs SOURCES OUT KILLS [NAME=VALUE ...]

Modules are imported once; each run is a fork that is killed when a random number of results more is done. With settings
on top, models of transformers are imported in advance, and a run without kills goes first, to OUT.calm.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.curate.small_run import small_run
from vp_jax.curate.store import StageStore


def results_in(root: Path) -> int:
    """Results that were computed so far."""
    return sum(file.read_bytes().count(b"\n") for file in (root / "work" / "done").glob("*.jsonl"))


def killed(sources: Path, root: Path, kills: int, changes: Sequence[str] = (), most: int = 12) -> int:
    """Run until the end, killed ``kills`` times at most, each after 1 to ``most`` results; how often it was."""
    draws, count = random.Random(7), 0
    while True:
        wanted = results_in(root) + draws.randint(1, most)
        pid = os.fork()
        if not pid:
            small_run(sources, root, *changes)
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


def with_models(sources: Path, root: Path, kills: int, changes: Sequence[str]) -> int:
    """A run without kills to ``root.calm``, and one with kills; how often that was killed."""
    import tests.torchvision_operators  # noqa: F401  isort: skip
    import transformers

    for name in ("Sam2VideoModel", "Sam2VideoProcessor", "GroundingDinoForObjectDetection", "GroundingDinoProcessor"):
        getattr(transformers, name)
    assert transformers.Florence2ForConditionalGeneration and transformers.Florence2Processor
    assert killed(sources, root.with_suffix(".calm"), 0, changes) == 0
    return killed(sources, root, kills, changes, most=2)


if __name__ == "__main__":
    folder, out, number, changed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    times = with_models(folder, out, number, changed) if changed else killed(folder, out, number)
    counts = StageStore(out).computed()
    print(json.dumps({"kills": times, "results": len(counts), "most": max(counts.values())}))
