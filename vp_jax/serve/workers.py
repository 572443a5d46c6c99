"""The server's side of its workers: a line of tasks for each process, one at a time.

A process that ends in the middle of a task is started again. The task is tried once more, since a job goes on where it
was; then it has failed.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger("vp_jax.serve")

_PATIENT = 20.0
"""Seconds that a cancelled task has to end before its process is ended."""
_LINE = 1 << 24
"""Bytes of the longest report."""


@dataclasses.dataclass(eq=False)
class Task:
    """One piece of work.

    Attributes:
      name: id of what it is about.
      message: makes the message for the worker when its turn comes.
      report: takes new values of fields.
      end: takes how it ended ("done", "cancelled" or "failed") and why.
      cancelled: it shall not go on.
      tries: how often it was begun.
    """

    name: str
    message: Callable[[], dict[str, Any]]
    report: Callable[[dict[str, Any]], None]
    end: Callable[[str, str | None], None]
    cancelled: bool = False
    tries: int = 0


class TaskLine:
    """Tasks in a line before one process, which starts with the first of them.

    Args:
      role: name of the process.
      folder: of the server.
      environment: variables on top of the server's own.
      restarted: called when the process ended unexpectedly.
      command: that starts the process; its role and the folder follow.
    """

    def __init__(
        self,
        role: str,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        restarted: Callable[[str], None] = lambda role: None,
        command: Sequence[str] = (sys.executable, "-m", "vp_jax.serve.worker"),
    ) -> None:
        self._command = (*command, role, str(folder))
        self.role, self._restarted = role, restarted
        self._environment = {**os.environ, **(environment or {})}
        self._waiting: collections.deque[Task] = collections.deque()
        self._some = asyncio.Event()
        self.current: Task | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._loop: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many tasks wait."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to take tasks."""
        self._loop = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """Let the process end: its task is kept for the next start of the server."""
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        if self._process is not None and self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), _PATIENT)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    def add(self, task: Task) -> None:
        """Put a task at the end of the line."""
        self._waiting.append(task)
        self._some.set()

    def cancel(self, name: str) -> bool:
        """End the task of a name, or take it out of the line; whether there was one."""
        for task in [task for task in self._waiting if task.name == name]:
            self._waiting.remove(task)
            task.end("cancelled", None)
            return True
        if self.current is None or self.current.name != name:
            return False
        if not self.current.cancelled:
            self.current.cancelled = True
            self._ending = asyncio.get_running_loop().create_task(self._end(self.current))
        return True

    def drop(self, name: str) -> None:
        """End the task of a name, or take it out of the line, and report nothing of it any more."""
        for task in [*self._waiting, *([self.current] if self.current else [])]:
            if task.name == name:
                task.report, task.end = (lambda values: None), (lambda how, why: None)
        self.cancel(name)

    async def _end(self, task: Task) -> None:
        with contextlib.suppress(OSError):
            await self._send({"cancel": task.name})
        await asyncio.sleep(_PATIENT)
        if self.current is task and self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._some.clear()
                await self._some.wait()
            task = self.current = self._waiting.popleft()
            try:
                how, why = await self._do(task)
                if how == "lost" and task.tries < 2 and not task.cancelled:
                    self._waiting.appendleft(task)
                    continue
            finally:
                self.current = None
            if how == "lost":
                how = "cancelled" if task.cancelled else "failed"
            task.end(how, why if how == "failed" else None)

    async def _do(self, task: Task) -> tuple[str, str | None]:
        """How a task ended, and why; "lost" if its process ended before."""
        task.tries += 1
        try:
            process = await self._running()
            await self._send(task.message())
            assert process.stdout is not None
            while line := await process.stdout.readline():
                message = json.loads(line)
                if message["task"] != task.name:
                    continue
                if "set" in message:
                    task.report(message["set"])
                if "end" in message:
                    return message["end"], message.get("error")
        except OSError as error:
            log.warning("worker %s: %s", self.role, error)
        if self._process is not None:
            await self._process.wait()
            status = self._process.returncode or 0
            self._process = None
            if not task.cancelled:
                self._restarted(self.role)
            log.warning("worker %s ended with status %s", self.role, status)
            reason = "too little memory?" if status == -signal.SIGKILL else f"status {status}"
            return "lost", f"the worker process ended unexpectedly ({reason}); the server's log has more"
        return "lost", "the worker process cannot be started; the server's log has more"

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the server, which lets its workers end
                limit=_LINE,
            )
        return self._process

    async def _send(self, message: dict[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()
