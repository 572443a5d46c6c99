"""A process that works for the server: it reads tasks from its standard input and writes reports, a line of JSON each.

    python -m vp_jax.serve.worker ROLE FOLDER

    in    {"task": "ID", "kind": "run", ...}        {"cancel": "ID"}
    out   {"task": "ID", "set": {"done": 3}}        {"task": "ID", "end": "done"}

What a hostile video or a full device breaks is this process, not the server. When the server goes, the input ends, and
so does the worker: a job keeps what it has done.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import IO, Any

from vp_jax.errors import UserError, escaped
from vp_jax.files import locked
from vp_jax.serve import places, tasks
from vp_jax.serve.schemas import JobRequest, JobState, Marks

_PATIENCE = 20.0
"""Seconds that a task has to end by itself once the server is gone."""


class Cancelled(Exception):
    """The server asked for the end of a task."""


class _Inbox:
    """Tasks and cancellations, read by a thread of its own."""

    def __init__(self, lines: IO[str]) -> None:
        self.tasks: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled: set[str] = set()
        self.gone = False
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def check(self, task: str) -> None:
        """Raises `Cancelled` if the task shall end."""
        if self.gone or task in self._cancelled:
            self._cancelled.discard(task)
            raise Cancelled

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            message = json.loads(line)
            if "cancel" in message:
                self._cancelled.add(message["cancel"])
            else:
                self._cancelled.discard(message["task"])
                self.tasks.put(message)
        self.gone = True
        self.tasks.put(None)
        threading.Timer(_PATIENCE, os._exit, [1]).start()


class Work:
    """What the tasks of one process share.

    Args:
      folder: of the server.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loader: Any = None

    def start(self, message: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
        """The task of a message."""
        kind, name = message["kind"], message["task"]
        videos, masks, jobs = (self._folder / part for part in (places.VIDEOS, places.MASKS, places.JOBS))
        if kind == "prepare":
            return tasks.prepare_video(videos / name)
        if kind == "track":
            marks = Marks.model_validate(message["marks"])
            video, backend = videos / message["video"], message["backend"]
            return tasks.track_mask(masks / name, video, marks, backend, **message.get("options", {}))
        if kind == "read_mask":
            return tasks.read_mask_file(masks / name, videos / message["video"])

        from vp_jax.jobs.loading import ModelCache
        from vp_jax.serve import job_tasks

        checkpoint = message["checkpoint"] if message["checkpoint"] == "nano" else Path(message["checkpoint"])
        if kind == "estimate":
            request = JobRequest.model_validate(message["request"])
            mask = masks / request.mask / places.MASK if request.mask else None
            video = videos / request.video / places.VIDEO
            return job_tasks.estimate_job(request, checkpoint, video, mask, jobs / name)
        if self._loader is None:
            self._loader = ModelCache()
        return job_tasks.run_task(jobs / name, JobState.model_validate(message["state"]), checkpoint, self._loader)


def serve_tasks(work: Work, inbox: _Inbox, out: IO[str]) -> None:
    """Do tasks until the input ends."""

    def say(task: str, **values: Any) -> None:
        print(json.dumps({"task": task, **values}), file=out, flush=True)

    while (message := inbox.tasks.get()) is not None:
        name = message["task"]
        try:
            inbox.check(name)
            with contextlib.closing(work.start(message)) as reports:
                for report in reports:
                    if report:
                        say(name, set=report)
                    inbox.check(name)
            say(name, end="done")
        except Cancelled:
            say(name, end="cancelled")
        except UserError as error:
            say(name, end="failed", error=str(error))
        except Exception as error:
            traceback.print_exc()
            reason = escaped(" ".join(str(error).split())[:200])
            say(name, end="failed", error=f"unexpected {type(error).__name__}: {reason}; the server's log has more")


def main() -> None:
    """Run a worker; one of each role at a time works in a folder."""
    role, folder = sys.argv[1], Path(sys.argv[2])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no report
    inbox = _Inbox(os.fdopen(os.dup(0), encoding="utf-8"))
    while not inbox.gone:  # the worker of a server that was killed ends within seconds
        with contextlib.suppress(UserError), locked(folder / f"{role}.lock", "an earlier worker still ends"):
            serve_tasks(Work(folder), inbox, out)
            return
        time.sleep(0.5)


if __name__ == "__main__":
    main()
