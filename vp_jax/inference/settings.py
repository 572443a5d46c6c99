"""Settings of one inpainting run, checked when they are made."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
from typing import Any

from vp_jax.diffusion.reuse import Budget
from vp_jax.errors import UserError
from vp_jax.models.config import Injection
from vp_jax.schema import check_number
from vp_jax.shapes import TEMPORAL_STRIDE

SAMPLER_NAMES = ("dpm", "ddim")
MODES = ("default", "reference")
FILLS = ("smooth", "mean", "black")
"""What the holes hold where the background is encoded, see `vp_jax.inference.hole_fill`."""


def default_overlap(window: int) -> int:
    """Frames that neighbouring windows share: about a sixth, such that the stride is a multiple of 4 (49 -> 9).

    A window starts on a latent frame only then; other strides slip one frame per window (reference behaviour).
    """
    least = -(-window // 6)
    return min(least + (window - least) % TEMPORAL_STRIDE, window - TEMPORAL_STRIDE) if window > TEMPORAL_STRIDE else 0


@dataclasses.dataclass(frozen=True)
class Settings:
    """User-facing sampling settings.

    Attributes:
      steps: denoising steps per window.
      guidance: classifier-free guidance scale; 1 or less switches it off.
      dynamic_guidance: cosine schedule of the scale over the steps, instead of a constant.
      guidance_start, guidance_stop: part of the steps, from the first (0) to the last (1), between which guidance is on
        (arXiv 2404.07724). The other steps follow the prompt alone, at half the work.
      step_cache: which steps reuse the network's estimate of an earlier one, as ``"1.5x"`` (a factor on its calls) or
        as a drift such as ``"0.05"``, see `vp_jax.diffusion.reuse`; ``None``: none.
      background_every: k: what is far from the hole goes through the networks at every k-th step only, and is seen by
        the hole as it was then, see `vp_jax.inference.near_hole`; 1: at every step.
      sampler: ``dpm`` (DPM-Solver++ as in CogVideoX) or ``ddim``.
      window: frames per window, ``4 n + 1``.
      overlap: frames that neighbouring windows share; ``None`` takes `default_overlap` (0 in reference mode).
      mode: ``default``, or ``reference`` to repeat the published behaviour, its time slip included.
      clip_weight: 0 to 1, weight of the previous window's keys in the ID adapter.
      joint: denoise the windows of a shot together, see `vp_jax.inference.joint`.
      replace_background: put the source's noised latents back outside the hole after every step.
      hole_fill: what the holes hold in the encoding that is put back, one of `FILLS`; ``None`` takes ``smooth``
        (``black`` in reference mode, which knows no other).
      injection: of the context encoder's hints.
      seed: of all noise.

    Raises:
      UserError: a value out of range, named with the range.
    """

    steps: int = 50
    guidance: float = 6.0
    dynamic_guidance: bool = True
    guidance_start: float = 0.0
    guidance_stop: float = 1.0
    step_cache: str | None = None
    background_every: int = 1
    sampler: str = "dpm"
    window: int = 49
    overlap: int | None = None
    mode: str = "default"
    clip_weight: float = 0.0
    joint: bool = False
    replace_background: bool = True
    hole_fill: str | None = None
    injection: Injection = dataclasses.field(default_factory=Injection)
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("steps", "guidance", "guidance_start", "guidance_stop", "window", "clip_weight", "seed"):
            check_number(name, getattr(self, name))
        _expect("sampler", self.sampler, self.sampler in SAMPLER_NAMES, " or ".join(SAMPLER_NAMES))
        _expect("mode", self.mode, self.mode in MODES, " or ".join(MODES))
        _expect("window", self.window, self.window % TEMPORAL_STRIDE == 1, "1, 5, 9 ... 4 n + 1")
        for name in ("dynamic_guidance", "replace_background", "joint"):
            _expect(name, getattr(self, name), isinstance(getattr(self, name), bool), "True or False")
        _expect("injection", self.injection, isinstance(self.injection, Injection), "an Injection")
        _expect("joint", self.joint, not (self.joint and self.mode == "reference"), "False in reference mode")
        _expect("joint", self.joint, not (self.joint and self.clip_weight), "False with a clip_weight")
        if self.step_cache is not None:
            Budget.parse(self.step_cache)
            _expect("step_cache", self.step_cache, self.mode != "reference", "none in reference mode")
        self._check_background()
        self._check_fill()
        overlap = self.overlap
        if overlap is None:
            overlap = 0 if self.mode == "reference" else default_overlap(self.window)
            object.__setattr__(self, "overlap", overlap)
        shared = _integer(overlap) and 0 <= overlap < self.window
        _expect("overlap", overlap, shared, f"0 to {self.window - 1} (window - 1)")
        if self.mode == "default" and self.window > 1 and self.stride % TEMPORAL_STRIDE:
            near = min(overlap - overlap % TEMPORAL_STRIDE + 1, self.window - TEMPORAL_STRIDE)
            raise UserError(
                f"overlap {overlap} of window {self.window}: their difference has to be a multiple of "
                f"{TEMPORAL_STRIDE} to keep time, try overlap {near}; mode reference repeats the published slip"
            )

    def _check_background(self) -> None:
        check_number("background_every", self.background_every)
        if self.background_every == 1:
            return
        for clash, what in (
            (self.mode == "reference", "in reference mode, whose windows look at each other's background"),
            (self.step_cache is not None, "with a step_cache"),
            (self.joint, "with joint windows"),
            (self.clip_weight > 0, "with a clip_weight"),
            (not self.replace_background, "where the background is not replaced"),
            (self.guidance_start > 0 or self.guidance_stop < 1, "with guidance in a part of the steps"),
        ):
            _expect("background_every", self.background_every, not clash, f"1 {what}")

    def _check_fill(self) -> None:
        known = ("black",) if self.mode == "reference" else FILLS
        if self.hole_fill is None:
            object.__setattr__(self, "hole_fill", known[0])
        where = " in reference mode" if self.mode == "reference" else ""
        _expect("hole_fill", self.hole_fill, self.hole_fill in known, f"{' or '.join(known)}{where}")

    def changed(self, **changes: Any) -> Settings:
        """These settings with some of them changed. A new window or mode has its own default overlap and fill.

        Raises:
          UserError: no such setting, or a value out of range.
        """
        names = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(names)}"
                raise UserError(f"unknown setting {name!r}: {hint}")
        if {"window", "mode"} & set(changes):
            changes = {"overlap": None, **changes}
        if "mode" in changes:
            changes = {"hole_fill": None, **changes}
        return dataclasses.replace(self, **changes)

    @property
    def guided(self) -> bool:
        """Classifier-free guidance is on."""
        return self.guidance > 1

    def guided_at(self, step: int) -> bool:
        """Guidance is on at this step, counted from 0."""
        return self.guided and self.guidance_start <= step / self.steps < self.guidance_stop

    @property
    def first_guided(self) -> tuple[int, ...]:
        """Steps at which guidance begins; the negative prompt has no estimate before them."""
        return tuple(i for i in range(1, self.steps) if self.guided_at(i) and not self.guided_at(i - 1))

    @property
    def stride(self) -> int:
        """Frames from the start of one window to the start of the next."""
        return self.window - (self.overlap or 0)

    @property
    def overlap_latents(self) -> int:
        """Latent frames by which a window reaches back behind the latent it starts at: ``(F - stride) // 4``."""
        return (self.window - self.stride) // TEMPORAL_STRIDE


def _expect(name: str, value: object, good: bool, expected: str) -> None:
    if not good:
        raise UserError(f"{name} {value}: expected {expected}")


def _integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
