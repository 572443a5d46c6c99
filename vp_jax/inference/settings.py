"""Settings of one inpainting run, checked when they are made."""

from __future__ import annotations

import dataclasses
import math
from typing import get_args

from vp_jax.errors import UserError
from vp_jax.models.config import HintTokens
from vp_jax.shapes import TEMPORAL_STRIDE

SAMPLERS = ("dpm", "ddim")
MODES = ("default", "reference")


def default_overlap(window: int) -> int:
    """Frames that neighbouring windows share: about a sixth, such that the stride is a multiple of 4 (49 -> 9).

    A window starts on a latent frame only then; other strides slip one frame per window (reference behaviour).
    """
    least = -(-window // 6)
    return min(least + (window - least) % TEMPORAL_STRIDE, window - TEMPORAL_STRIDE) if window > TEMPORAL_STRIDE else 0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a person may choose of a run.

    Attributes:
      steps: denoising steps per window.
      guidance: classifier-free guidance scale; 1 switches it off.
      dynamic_guidance: cosine schedule of the scale over the steps, instead of a constant.
      sampler: ``dpm`` (DPM-Solver++ as in CogVideoX) or ``ddim``.
      window: frames per window, ``4 n + 1``.
      overlap: frames that neighbouring windows share; ``None`` takes `default_overlap` (0 in reference mode).
      mode: ``default``, or ``reference`` to repeat the published behaviour, its time slip included.
      clip_weight: 0 to 1, weight of the previous window's keys in the ID adapter.
      replace_background: put the source's noised latents back outside the hole after every step.
      hint_scale: factor on the context encoder's hints.
      hint_tokens: which tokens get them, ``background``, or as the encoder was trained, ``partial`` or ``all``.
      seed: of all noise.

    Raises:
      UserError: a value out of range, named with the range.
    """

    steps: int = 50
    guidance: float = 6.0
    dynamic_guidance: bool = True
    sampler: str = "dpm"
    window: int = 49
    overlap: int | None = None
    mode: str = "default"
    clip_weight: float = 0.0
    replace_background: bool = True
    hint_scale: float = 1.0
    hint_tokens: HintTokens = "background"
    seed: int = 42

    def __post_init__(self) -> None:
        _expect("steps", self.steps, 1 <= self.steps <= 1000, "1 to 1000")
        _expect("guidance", self.guidance, math.isfinite(self.guidance) and self.guidance >= 0, "0 or more")
        _expect("sampler", self.sampler, self.sampler in SAMPLERS, " or ".join(SAMPLERS))
        _expect("mode", self.mode, self.mode in MODES, " or ".join(MODES))
        _expect("window", self.window, self.window >= 1 and self.window % TEMPORAL_STRIDE == 1, "1, 5, 9 ... 4 n + 1")
        _expect("clip_weight", self.clip_weight, 0 <= self.clip_weight <= 1, "0 to 1")
        _expect("hint_scale", self.hint_scale, math.isfinite(self.hint_scale) and self.hint_scale >= 0, "0 or more")
        tokens = get_args(HintTokens)
        _expect("hint_tokens", self.hint_tokens, self.hint_tokens in tokens, " or ".join(tokens))
        _expect("seed", self.seed, 0 <= self.seed < 2**32, "0 to 4294967295")
        overlap = self.overlap
        if overlap is None:
            overlap = 0 if self.mode == "reference" else default_overlap(self.window)
            object.__setattr__(self, "overlap", overlap)
        _expect("overlap", overlap, 0 <= overlap < self.window, f"0 to {self.window - 1} (window - 1)")
        if self.mode == "default" and self.window > 1 and self.stride % TEMPORAL_STRIDE:
            near = min(overlap - overlap % TEMPORAL_STRIDE + 1, self.window - TEMPORAL_STRIDE)
            raise UserError(
                f"overlap {overlap} of window {self.window}: their difference has to be a multiple of "
                f"{TEMPORAL_STRIDE} to keep time, try overlap {near}; mode reference repeats the published slip"
            )

    @property
    def stride(self) -> int:
        """Frames from the start of one window to the start of the next."""
        return self.window - (self.overlap or 0)


def _expect(name: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise UserError(f"{name} {value}: expected {expected}")
