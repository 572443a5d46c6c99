"""Graceful shutdown: SIGTERM (preemption, job limits) and Ctrl-C end the run after the step that is under way.

In a job of several processes the signal may reach only one, and all have to stop at the same step. JAX's own handler
of SIGTERM spreads the news (`TrainingCheckpoints.preempted` then agrees on a step), so it is left in place there.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ShutdownSignal:
    """Context that remembers the first signal in ``received``; a second one acts at once.

    Args:
      alone: this process is the whole job. Otherwise SIGTERM is JAX's, and Ctrl-C is passed on as one.
    """

    def __init__(self, *, alone: bool = True) -> None:
        self.received: signal.Signals | None = None
        self._alone = alone
        self._before: dict[signal.Signals, Any] = {}

    @property
    def status(self) -> int:
        """Exit status of a run that stopped early: 128 + the number of the signal."""
        return 128 + (self.received or signal.SIGTERM)

    @property
    def reason(self) -> str:
        """Why the run stopped."""
        return self.received.name if self.received else "preemption"

    def __enter__(self) -> ShutdownSignal:
        numbers = SIGNALS if self._alone else (signal.SIGINT,)
        self._before = {number: signal.signal(number, self._remember) for number in numbers}
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        os.write(2, f"{self.received.name}: stopping after this step; press or send again to stop now\n".encode())
        self._restore()
        if not self._alone:
            os.kill(os.getpid(), signal.SIGTERM)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
