"""Which denoising steps reuse the network's estimate of an earlier one, chosen before sampling begins.

The estimate x_0 = a x - s v of the clean values changes little from step to step. A step that reuses it needs no pass
of the network; the sampler goes on with its own noise and background, v = (a x - x_0) / s. How far that v is off is
measured once for a model, as MagCache (arXiv 2506.09045) measures ratios of magnitudes:

    drift(i, j) = |x_0 at j - x_0 at i| / (s_j |x_0 at j|)

A step is computed if the drift from the last computed step would exceed a threshold. ``"1.5x"`` stands for the lowest
threshold with which the network is called at most ``steps / 1.5`` times, the first and the last step always among them.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vp_jax.errors import UserError

if TYPE_CHECKING:  # settings are read without JAX
    from vp_jax.diffusion.steps import StepTable

_FORMAT = 1
_LARGEST = 10.0
"""Of a threshold or a factor that makes sense."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much is reused: by a factor on the number of network calls, or up to a drift; the other one is ``None``."""

    factor: float | None
    threshold: float | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Budget of ``"1.5x"`` or ``"0.05"``.

        Raises:
          UserError: neither, or out of range.
        """
        found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(x?)", text) if isinstance(text, str) else None
        value = float(found[1]) if found else 0.0
        if found and found[2] and 1 <= value <= _LARGEST:
            return cls(value, None)
        if found and not found[2] and 0 < value <= _LARGEST:
            return cls(None, value)
        raise UserError(
            f"step_cache {text}: expected a factor such as 1.5x (1x to {_LARGEST:g}x), or a drift such as 0.05 "
            f"(above 0, at most {_LARGEST:g})"
        )


@dataclasses.dataclass(frozen=True)
class Drift:
    """Drift of a model's estimates, measured with one number of steps and used with any.

    Attributes:
      timesteps: of the measured steps, from the noisiest on.
      drift: ``drift[i][j]`` from step i to step j > i; 0 elsewhere.
    """

    timesteps: tuple[int, ...]
    drift: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        steps = np.asarray(self.timesteps, np.float64)
        table = [row for row in self.drift if len(row) == len(steps)]
        good = len(steps) > 1 and len(table) == len(self.drift) == len(steps) and bool((np.diff(steps) < 0).all())
        if not good or not np.isfinite(table).all() or np.min(table) < 0:
            raise UserError("a step cache holds falling timesteps and as many rows of drifts, 0 or more")

    @classmethod
    def measured(cls, steps: StepTable, clips: Sequence[Sequence[np.ndarray]]) -> Drift:
        """From the estimates of every step of some clips, of any shape, pooled: one clip counts by its size."""
        count, norm = len(steps.timestep), np.linalg.norm
        joined = [np.concatenate([np.ravel(x0[step]) for x0 in clips]) for step in range(count)]
        table = np.zeros((count, count))
        for i, j in itertools.combinations(range(count), 2):
            size = max(float(norm(joined[j])), 1e-12)
            table[i, j] = float(norm(joined[j] - joined[i])) / size / steps.sigma[j]
        return cls(tuple(map(int, steps.timestep)), tuple(tuple(map(float, row)) for row in table))

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Drift:
        """From what `as_json` made.

        Raises:
          UserError: anything else.
        """
        try:
            if values["format"] != _FORMAT:
                raise UserError(f"a step cache of format {values['format']}: expected {_FORMAT}")
            return cls(
                tuple(int(t) for t in values["timesteps"]),
                tuple(tuple(float(value) for value in row) for row in values["drift"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError("no step cache: expected what `vp-jax calibrate` writes") from error

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded to four digits."""
        rows = [[round(value, 4) for value in row] for row in self.drift]
        return {"format": _FORMAT, "timesteps": list(self.timesteps), "drift": rows}

    def between(self, before: int, after: int) -> float:
        """Drift from timestep ``before`` down to ``after``, linear between those measured."""
        place_i, place_j = (self._place(timestep) for timestep in (before, after))
        total = 0.0
        for i, weight_i in place_i:
            for j, weight_j in place_j:
                total += weight_i * weight_j * self.drift[min(i, j)][max(i, j)]
        return total

    def _place(self, timestep: int) -> tuple[tuple[int, float], ...]:
        place = np.interp(-timestep, [-t for t in self.timesteps], range(len(self.timesteps)))
        low = min(int(place), len(self.timesteps) - 2)
        return (low, 1 - (place - low)), (low + 1, place - low)


def reused_steps(
    drift: Drift, timesteps: np.ndarray, budget: Budget, computed: Collection[int] = ()
) -> tuple[int, ...]:
    """Numbers of the steps that reuse the estimate of the last step before them that does not.

    Args:
      drift: of the model.
      timesteps: of the sampler, descending.
      budget: what to save.
      computed: steps that are computed in any case, besides the first and the last.
    """
    steps, fixed = len(timesteps), {0, len(timesteps) - 1, *computed}
    table = [[drift.between(int(a), int(b)) if i < j else 0.0 for j, b in enumerate(timesteps)]
             for i, a in enumerate(timesteps)]  # fmt: skip
    if budget.threshold is not None:
        return _below(table, budget.threshold, fixed)
    assert budget.factor is not None
    calls = max(int(steps / budget.factor), len(fixed))
    for threshold in sorted({value for row in table for value in row}):
        reused = _below(table, threshold, fixed)
        if steps - len(reused) <= calls:
            return reused
    return ()


def _below(table: list[list[float]], threshold: float, fixed: Collection[int]) -> tuple[int, ...]:
    """Steps whose drift from the last computed one is at most ``threshold``."""
    reused, last = [], 0
    for step in range(len(table)):
        if step in fixed or table[last][step] > threshold:
            last = step
        else:
            reused.append(step)
    return tuple(reused)
