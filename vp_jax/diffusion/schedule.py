"""Noise schedule of CogVideoX, in float64 on the host (arXiv 2408.06072 section 2.3; docs/model.md, "Noise schedule").

beta_i  = (sqrt(beta_start) ... sqrt(beta_end), evenly) ** 2                                    scaled linear
abar    = cumprod(1 - beta)
abar   <- abar / (s + (1 - s) abar)                          SNR shift, s = 1 for 5B, 3 for 2B
sqrt(abar) <- (sqrt(abar) - last) * first / (first - last)   zero terminal SNR
x_t     = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np

from vp_jax.errors import UserError
from vp_jax.schema import Between, from_values


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Description of the noise schedule, and of what a network of it predicts.

    Attributes:
      beta_start: first beta.
      beta_end: last beta.
      num_timesteps: training timesteps.
      snr_shift: s above, 1 for the 5B models, 3 for the 2B.
      zero_terminal_snr: rescale so that the last timestep is pure noise.
      prediction_type: what the network predicts: the velocity, as every CogVideoX, or the clean values (``sample``,
        arXiv 2511.13720). Noise takes all of a token's values, clean values do not: a narrow network cannot pass it on.

    Raises:
      UserError: betas or shift out of range.
    """

    beta_start: Annotated[float, Between(0, 1)] = 0.00085
    beta_end: Annotated[float, Between(0, 1)] = 0.012
    num_timesteps: Annotated[int, Between(2, 100_000)] = 1000
    snr_shift: Annotated[float, Between(1e-3, 1e3)] = 1.0
    zero_terminal_snr: bool = True
    prediction_type: Literal["v_prediction", "sample"] = "v_prediction"

    def __post_init__(self) -> None:
        if not 0 < self.beta_start < self.beta_end < 1:
            raise UserError(f"betas {self.beta_start}..{self.beta_end}: expected 0 < beta_start < beta_end < 1")
        if self.snr_shift <= 0:
            raise UserError(f"snr_shift {self.snr_shift}: expected a positive number (1 for 5B, 3 for 2B)")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Schedule:
        """Schedule from the values of a converted ``scheduler/config.json``; keys of the sampler are ignored."""
        ignored = {"kind", "sampler", "timestep_spacing"}
        return from_values(cls, {k: v for k, v in values.items() if k not in ignored}, "scheduler")

    @functools.cached_property
    def abar(self) -> np.ndarray:
        """Signal power of every timestep, float64 (num_timesteps,), falling from nearly 1 to 0."""
        betas = np.linspace(self.beta_start**0.5, self.beta_end**0.5, self.num_timesteps) ** 2
        abar = np.cumprod(1.0 - betas)
        abar = abar / (self.snr_shift + (1.0 - self.snr_shift) * abar)
        if self.zero_terminal_snr:
            root = np.sqrt(abar)
            abar = ((root - root[-1]) * (root[0] / (root[0] - root[-1]))) ** 2
        return abar

    def timesteps(self, steps: int) -> np.ndarray:
        """Timesteps of a sampler of ``steps`` steps, int64, descending: ``round(1000 - i * 1000 / steps) - 1``.

        Raises:
          UserError: ``steps`` is outside 1..num_timesteps.
        """
        if not 1 <= steps <= self.num_timesteps:
            raise UserError(f"{steps} steps: expected 1..{self.num_timesteps}")
        ratio = self.num_timesteps / steps
        return np.round(np.arange(self.num_timesteps, 0, -ratio)).astype(np.int64)[:steps] - 1

    def abar_at(self, timestep: int) -> float:
        """Signal power at ``timestep``; 1 for negative timesteps."""
        return 1.0 if timestep < 0 else float(self.abar[timestep])
