"""A trace of some steps for TensorBoard's profiler or https://ui.perfetto.dev: ``--profile N``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from vp_jax.runs import multihost

WARM_UP = 2
"""Steps before the trace: they compile, and fill the queue of batches."""


class Profile:
    """Traces steps of a run; the loop calls `step` after each one.

    Args:
      folder: where the trace goes, ``folder/plugins/profile/...``.
      steps: that are traced; 0: none.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        self._folder, self._steps, self._seen, self._tracing = folder, steps, 0, False

    def step(self, state: Any) -> None:
        """A step was given to the devices; ``state`` is what it leaves."""
        if not self._steps:
            return
        self._seen += 1
        if self._seen == WARM_UP:
            jax.block_until_ready(state)
            jax.profiler.start_trace(str(self._folder))
            self._tracing = True
        elif self._seen == WARM_UP + self._steps:
            jax.block_until_ready(state)
            self.close()

    def close(self) -> None:
        """End the trace; a run that ends before all steps are traced has a shorter one."""
        if not self._tracing:
            return
        jax.profiler.stop_trace()
        self._tracing = False
        steps = min(self._seen - WARM_UP, self._steps)
        multihost.print_once(f"profile of {steps} steps: tensorboard --logdir {self._folder}")
