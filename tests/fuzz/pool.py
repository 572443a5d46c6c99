"""Workers under watch: one that takes too long, too much memory, or dies, is noticed, ended and replaced."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent.parent
SECONDS, BYTES = 20.0, 2 << 30
"""That one input may take."""
_START = 300.0  # seconds that a worker may take to import everything and to make good input


class Case(NamedTuple):
    """One input: it is drawn from these three alone."""

    door: str
    seed: int
    number: int

    @property
    def command(self) -> str:
        """How to run it again."""
        return f"python -m tests.fuzz --door '{self.door}' --seed {self.seed} --only {self.number}"


class Outcome(NamedTuple):
    """What an input led to: "accepted", "refused", or one of `FAULTS`."""

    case: Case
    outcome: str
    seconds: float
    detail: str = ""
    peak: int = 0


FAULTS = ("traceback", "unclear", "crash", "slow", "large")
"""Another exception than a refusal; a refusal of several lines; a dead process; over `SECONDS`; over `BYTES`."""


class Worker:
    """A process that answers one case at a time."""

    def __init__(self) -> None:
        read, write = os.pipe()
        self._errors = tempfile.TemporaryFile()
        self._folder = tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", str(write), self._folder.name],
            stdin=subprocess.PIPE,
            stdout=self._errors,
            stderr=self._errors,
            pass_fds=[write],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        os.close(write)
        self._answers, self._buffer, self._closed = read, b"", False
        try:
            self.doors: dict[str, float] = self._line(_START)["doors"]
        except BaseException:
            self.close()
            raise

    def run(self, case: Case) -> Outcome:
        """The outcome of a case. After a fault other than a traceback the worker may be gone: see `alive`."""
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps(case._asdict()) + "\n").encode())
        self._process.stdin.flush()
        begin = time.monotonic()
        try:
            self._line(_START)
            begin = time.monotonic()
            found = self._line(SECONDS)
        except TimeoutError:
            self.close()
            return Outcome(case, "slow", time.monotonic() - begin)
        except MemoryError:
            self.close()
            return Outcome(case, "large", time.monotonic() - begin)
        except EOFError as error:
            self.close()
            return Outcome(case, "crash", time.monotonic() - begin, str(error))
        outcome = "large" if found["peak"] > BYTES and found["outcome"] != "traceback" else found["outcome"]
        return Outcome(case, outcome, found["seconds"], found["detail"], found["peak"])

    @property
    def alive(self) -> bool:
        """The process still answers."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process."""
        if self.alive:
            self._process.kill()
        self._process.wait()
        if not self._closed:
            self._closed = True
            with contextlib.suppress(BrokenPipeError):  # what the dead have not read
                self._process.stdin.close()  # type: ignore[union-attr]
            os.close(self._answers)
            self._errors.close()
            self._folder.cleanup()

    def _line(self, seconds: float) -> dict[str, Any]:
        """The next answer. `TimeoutError` after ``seconds``, `MemoryError` over `BYTES`, `EOFError` from the dead."""
        end = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            if not select.select([self._answers], [], [], 0.1)[0]:
                if time.monotonic() > end:
                    raise TimeoutError
                if self._resident() > 1.5 * BYTES:
                    raise MemoryError
                continue
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise EOFError(self._tail())
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _resident(self) -> int:
        try:
            pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def _tail(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 2000))
        return self._errors.read().decode(errors="replace")


def shares(cases: int, doors: dict[str, float], seed: int) -> list[Case]:
    """``cases`` inputs over all doors, at least one for each."""
    total = sum(doors.values())
    counts = {name: max(1, round(cases * share / total)) for name, share in doors.items()}
    return [Case(name, seed, number) for name, count in counts.items() for number in range(count)]


def run_cases(cases: Sequence[Case], workers: int) -> Iterator[Outcome]:
    """Outcomes in the order in which they come, from ``workers`` processes."""
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)

    def work() -> None:
        try:
            worker = Worker()
            while True:
                try:
                    case = waiting.get_nowait()
                except queue.Empty:
                    break
                outcome = worker.run(case)
                worker = worker if worker.alive else Worker()
                if outcome.outcome == "slow":  # the machine may have stood still: what hangs does so again
                    outcome = worker.run(case)
                    worker = worker if worker.alive else Worker()
                done.put(outcome)
            worker.close()
        except BaseException as error:
            done.put(error)

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    for _ in cases:
        outcome = done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        yield outcome
