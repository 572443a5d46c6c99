"""Between the step and the metrics file: means over an interval, speed, time left, and the alarm for bad numbers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.scalars import MetricsWriter
from vp_jax.training.stages.denoising import TIMESTEP_BINS

IN_FLIGHT = 2
"""Steps that may wait on the devices: enough to hide the host's work, few enough to hold few batches."""


class Recorder:
    """Collects what steps return, without waiting for them, and writes one line per interval.

    Args:
      writer: ``None`` on hosts that write nothing.
      rate: learning rate by step.
      steps: of the whole run.
      batch_size: examples per step.
      flops, peak: operations of a step, and operations per second of all chips (either may be ``None``: not known).
      every: steps between lines; 0: only with training checkpoints.
    """

    def __init__(
        self,
        writer: MetricsWriter | None,
        rate: Callable[[Any], Any],
        steps: int,
        batch_size: int,
        flops: float | None,
        peak: float | None,
        every: int = 0,
    ) -> None:
        self._writer, self._rate, self._steps, self._batch_size = writer, rate, steps, batch_size
        self._flops, self._peak, self._every = flops, peak, every
        self._pending: list[tuple[int, Mapping[str, jax.Array]]] = []
        self._waited, self._since = 0.0, time.perf_counter()

    def due(self, step: int) -> bool:
        """It is time for a line after ``step``."""
        return bool(self._every) and step % self._every == 0

    def add(self, step: int, metrics: Mapping[str, jax.Array], waited: float) -> None:
        """Metrics of ``step`` (from 1), still on the devices, and the seconds its batch was waited for."""
        self._pending.append((step, metrics))
        self._waited += waited
        if len(self._pending) >= IN_FLIGHT:
            jax.block_until_ready(self._pending[-IN_FLIGHT][1])

    def flush(self) -> str | None:
        """Write the interval; returns the progress line, ``None`` if there was no step.

        Raises:
          UserError: a loss or norm is not finite; it names the steps.
        """
        if not self._pending:
            return None
        first, step = self._pending[0][0], self._pending[-1][0]
        values = jax.device_get([metrics for _, metrics in self._pending])
        seconds = time.perf_counter() - self._since
        line = {
            name: float(np.mean([v[name] for v in values], dtype=np.float64))
            for name in values[0]
            if not name.startswith("bin_")
        }
        bad = sorted(name for name, value in line.items() if not math.isfinite(value))
        if bad:
            raise UserError(
                f"{', '.join(bad)} not finite between steps {first} and {step}: the newest checkpoint is "
                f"from before; lower optimizer.lr, or look at the data of these steps"
            )
        rate = len(values) / seconds
        line |= {
            "lr": float(self._rate(step - 1)),
            "examples_per_s": rate * self._batch_size,
            "data_wait": self._waited / seconds,
            **_by_timestep(values),
        }
        if self._peak and self._flops:
            line["mfu"] = rate * self._flops / self._peak
        if self._writer is not None:
            self._writer.write(step, line)
        self._pending, self._waited, self._since = [], 0.0, time.perf_counter()
        mfu = f"  mfu {line['mfu']:.1%}" if "mfu" in line else ""
        return (
            f"step {step}/{self._steps}  loss {line['loss']:.4g}  grad {line['grad_norm']:.3g}  lr {line['lr']:.3g}"
            f"  {line['examples_per_s']:.3g} examples/s{mfu}  data wait {line['data_wait']:.1%}"
            f"  {duration((self._steps - step) / rate)} left"
        )

    def pause(self) -> None:
        """Time from `flush` until now (saving, validation) is not the steps'. Steps since then keep theirs."""
        if not self._pending:
            self._since = time.perf_counter()


def _by_timestep(values: list[Mapping[str, np.ndarray]]) -> dict[str, float]:
    if "bin_loss" not in values[0]:
        return {}
    total, count = (np.stack([v[name] for v in values]).sum(0, np.float64) for name in ("bin_loss", "bin_count"))
    width = Schedule.num_timesteps // TIMESTEP_BINS
    return {f"loss_t{i * width:03d}": float(total[i] / count[i]) for i in range(TIMESTEP_BINS) if count[i]}


def duration(seconds: float) -> str:
    """``3 d 4 h``, ``4 h 10 min``, ``10 min``, ``9 s``."""
    minutes, hours, days = (int(seconds // unit) for unit in (60, 3600, 86400))
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"
