"""Between the step and the metrics file: means over an interval, speed, time left, and the alarm for bad numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.scalars import MetricsWriter
from vp_jax.training.stages.denoising import TIMESTEP_BINS
from vp_jax.training.step import BY_EXAMPLE


class BadStep(NamedTuple):
    """A step with numbers that are not finite.

    Attributes:
      step: its number, from 1.
      clips: names of this process's rows of its batch.
      losses_B: loss of every example of the complete batch, where the step gives it.
    """

    step: int
    clips: tuple[str, ...]
    losses_B: np.ndarray | None


class NotFinite(UserError):
    """Numbers of some steps are not finite.

    Attributes:
      names: of the numbers.
      steps: in order.
    """

    def __init__(self, message: str, names: str, steps: tuple[BadStep, ...]) -> None:
        super().__init__(message)
        self.names, self.steps = names, steps


class Pending(NamedTuple):
    """A step whose numbers have not been read, see `Recorder.add`."""

    step: int
    metrics: Mapping[str, jax.Array]
    clips: tuple[str, ...]


PART = "grad_norm_"
"""How the names of metrics of parts of the model begin; the norm of all of them raises the alarm."""

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
        self._pending: list[Pending] = []
        self._waited, self._unread, self._since = 0.0, 0, time.perf_counter()

    def due(self, step: int) -> bool:
        """It is time for a line after ``step``."""
        return bool(self._every) and step % self._every == 0

    def add(
        self, step: int, metrics: Mapping[str, jax.Array], waited: float, clips: Sequence[str] = (), unread: int = 0
    ) -> None:
        """Take what a step leaves.

        Args:
          step: its number, from 1.
          metrics: still on the devices.
          waited: seconds that its batch was waited for.
          clips: names of this process's rows of the batch.
          unread: captions among them that the model does not read completely.
        """
        self._pending.append(Pending(step, metrics, tuple(clips)))
        self._waited += waited
        self._unread += unread
        if len(self._pending) >= IN_FLIGHT:
            jax.block_until_ready(self._pending[-IN_FLIGHT].metrics)

    def flush(self) -> str | None:
        """Write the interval; returns the progress line, ``None`` if there was no step.

        Raises:
          NotFinite: a loss or norm is not finite; it names the steps.
        """
        if not self._pending:
            return None
        step = self._pending[-1].step
        values = jax.device_get([one.metrics for one in self._pending])
        self._raise_for_bad(values)
        seconds = time.perf_counter() - self._since
        line = {
            name: float(np.mean([v[name] for v in values], dtype=np.float64))
            for name in values[0]
            if not np.ndim(values[0][name])
        }
        rate = len(values) / seconds
        line |= {
            "lr": float(self._rate(step - 1)),
            "examples_per_s": rate * self._batch_size,
            "data_wait": self._waited / seconds,
            **_by_timestep(values),
        }
        if self._peak and self._flops:
            line["mfu"] = rate * self._flops / self._peak
        unread = ""
        if self._unread:
            line["captions_cut"] = float(self._unread)
            unread = f"  {self._unread} captions longer than the model reads, or with unknown words"
        if self._writer is not None:
            self._writer.write(step, line)
        self._pending, self._waited, self._unread, self._since = [], 0.0, 0, time.perf_counter()
        mfu = f"  mfu {line['mfu']:.1%}" if "mfu" in line else ""
        return (
            f"step {step}/{self._steps}  loss {line['loss']:.4g}  grad {line['grad_norm']:.3g}  lr {line['lr']:.3g}"
            f"  {line['examples_per_s']:.3g} examples/s{mfu}  data wait {line['data_wait']:.1%}"
            f"  {duration((self._steps - step) / rate)} left{unread}"
        )

    def _raise_for_bad(self, values: list[Mapping[str, np.ndarray]]) -> None:
        """Raise `NotFinite` if a number of the interval is not finite."""
        found = [
            [
                name
                for name, value in v.items()
                if not np.ndim(value) and not np.isfinite(value) and not name.startswith(PART)
            ]
            for v in values
        ]
        if not any(found):
            return
        names = ", ".join(sorted({name for one in found for name in one}))
        steps = tuple(
            BadStep(one.step, one.clips, v.get(BY_EXAMPLE)) for one, v, bad in zip(self._pending, values, found) if bad
        )
        first, last = self._pending[0].step, self._pending[-1].step
        raise NotFinite(
            f"{names} not finite between steps {first} and {last}: the newest checkpoint is from before; lower "
            f"optimizer.lr, or look at the data of these steps",
            names,
            steps,
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
