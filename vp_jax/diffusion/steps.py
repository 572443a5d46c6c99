"""DDIM and the CogVideoX DPM-solver++ SDE as tables of coefficients; one update serves both.

With x_0 = a x - s v predicted at timestep t, stepping to p = t - floor(1000 / S) (NOT the next list entry):

    x'   = keep x + data (x_0 + history (x_0 - x_0_old)) + noise eps

DDIM (eta 0), A = sqrt((1 - abar_p) / (1 - abar_t)):

    keep = A,  data = sqrt(abar_p) - A sqrt(abar_t),  history = noise = 0

DPM, lam = log(abar / (1 - abar)) / 2, h = lam_p - lam_t, r = (lam_t - lam_back) / h, back = previous LIST entry:

    keep = sqrt((1 - abar_p) / (1 - abar_t)) e^-h    data  = (1 - e^-2h) sqrt(abar_p)
    history = 1 / (2 r), 0 at the first step and when p < 0
    noise = sqrt(1 - abar_p) sqrt(1 - e^-2h)

Limits: abar_t = 0 gives e^-h = 0; abar_back = 0 gives history = 0; abar_p = 1 gives x' = x_0. Both samplers are those
of the released system (docs/model.md, "Samplers").
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax.diffusion.schedule import Schedule


class StepTable(NamedTuple):
    """Numbers of every step (leading axis) or of one (scalars); float32, and int32 for ``timestep``.

    Attributes:
      timestep: t, input of the network.
      signal: sqrt(abar_t).
      sigma: sqrt(1 - abar_t).
      keep: coefficient of x in the update above.
      data: coefficient of the prediction of x_0.
      history: coefficient of the change of that prediction.
      noise: coefficient of the new noise.
      next_signal: signal of the NEXT list entry, 1 after the last, for background replacement.
      next_sigma: sigma of the next list entry, 0 after the last.
    """

    timestep: np.ndarray
    signal: np.ndarray
    sigma: np.ndarray
    keep: np.ndarray
    data: np.ndarray
    history: np.ndarray
    noise: np.ndarray
    next_signal: np.ndarray
    next_sigma: np.ndarray


def _table(schedule: Schedule, steps: int, rows: list[tuple[float, float, float, float]]) -> StepTable:
    timesteps = schedule.timesteps(steps)
    abar = schedule.abar[timesteps]
    following = np.append(abar[1:], 1.0)
    keep, data, history, noise = np.asarray(rows, np.float64).T
    columns = (np.sqrt(abar), np.sqrt(1 - abar), keep, data, history, noise, np.sqrt(following), np.sqrt(1 - following))
    return StepTable(timesteps.astype(np.int32), *(c.astype(np.float32) for c in columns))


def _aims(schedule: Schedule, steps: int, by_list: bool) -> list[int]:
    """The timestep that each step leads to, negative for clean latents.

    As published, it is a whole stride, ``1000 // steps``, before its own, which is not the next of the list where the
    stride is rounded. With 6 or 7 steps the last one then ends at timestep 0 and not at clean latents, with a
    prediction that is extrapolated over all of the remaining noise: noise is left, 1 dB on nano. ``by_list``: every
    step leads to the next of the list, the last to clean latents. Where 1000 is a multiple of ``steps`` both agree.
    """
    timesteps = [int(t) for t in schedule.timesteps(steps)]
    if by_list:
        return [*timesteps[1:], -1]
    return [t - schedule.num_timesteps // steps for t in timesteps]


@dataclasses.dataclass(frozen=True)
class DDIM:
    """Deterministic sampler (arXiv 2010.02502, eta 0)."""

    stochastic = False

    def table(self, schedule: Schedule, steps: int, *, by_list: bool = False) -> StepTable:
        """Coefficients of every step; ``by_list``: see `_aims`."""
        rows = []
        for t, p in zip(schedule.timesteps(steps), _aims(schedule, steps, by_list)):
            abar_t, abar_p = schedule.abar_at(t), schedule.abar_at(p)
            keep = np.sqrt((1 - abar_p) / (1 - abar_t))
            rows.append((keep, np.sqrt(abar_p) - keep * np.sqrt(abar_t), 0.0, 0.0))
        return _table(schedule, steps, rows)


@dataclasses.dataclass(frozen=True)
class DPM:
    """Second-order DPM-solver++ SDE as CogVideoX uses it (arXiv 2211.01095)."""

    stochastic = True

    def table(self, schedule: Schedule, steps: int, *, by_list: bool = False) -> StepTable:
        """Coefficients of every step; ``by_list``: see `_aims`."""
        timesteps, rows = schedule.timesteps(steps), []
        for i, (t, p) in enumerate(zip(timesteps, _aims(schedule, steps, by_list))):
            abar_t, abar_p = schedule.abar_at(t), schedule.abar_at(p)
            back = schedule.abar_at(timesteps[i - 1]) if i and p >= 0 else 0.0
            rows.append(_dpm_row(abar_t, abar_p, back))
        return _table(schedule, steps, rows)


def _log_snr(abar: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(abar) - np.log1p(-abar)) / 2


def _dpm_row(abar_t: float, abar_p: float, abar_back: float) -> tuple[float, float, float, float]:
    if abar_p == 1.0:
        return 0.0, 1.0, 0.0, 0.0
    lam_t, lam_p = _log_snr(abar_t), _log_snr(abar_p)
    h = lam_p - lam_t
    decay = np.exp(-h)
    history = h / (2 * (lam_t - _log_snr(abar_back))) if abar_t > 0 and abar_back > 0 else 0.0
    gain = 1 - decay**2
    return (
        float(np.sqrt((1 - abar_p) / (1 - abar_t)) * decay),
        float(gain * np.sqrt(abar_p)),
        float(history),
        float(np.sqrt(1 - abar_p) * np.sqrt(gain)),
    )


SAMPLERS: dict[str, DDIM | DPM] = {"ddim": DDIM(), "dpm": DPM()}
"""The samplers by name."""


def update(
    row: StepTable, x: jax.Array, v: jax.Array, x0_old: jax.Array, eps: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """Apply one step to latents of any shape.

    Args:
      row: one row of a table (scalars).
      x: latents.
      v: predicted velocity.
      x0_old: raw x_0 prediction of the previous step; any finite value at the first step.
      eps: standard normal noise; ``None`` for samplers without noise.

    Returns:
      The next latents, and the raw x_0 prediction, which is ``x0_old`` of the next step.
    """
    x0 = row.signal * x - row.sigma * v
    x_next = row.keep * x + row.data * (x0 + row.history * (x0 - x0_old))
    return (x_next if eps is None else x_next + row.noise * eps), x0


def velocity_to(row: StepTable, x: jax.Array, x0: jax.Array) -> jax.Array:
    """Velocity that leads from latents ``x`` at a row of a table to clean ``x0``; all of any shape."""
    v: jax.Array = (row.signal * x - x0) / row.sigma
    return v


def row_at(table: StepTable, index: jax.Array | int) -> StepTable:
    """Row ``index`` of a table; ``index`` may be traced."""
    result: StepTable = jax.tree.map(lambda column: jnp.asarray(column)[index], table)
    return result
