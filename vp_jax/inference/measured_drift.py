"""How a model's estimates drift from step to step, measured by sampling some windows completely."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from vp_jax.diffusion.reuse import Drift
from vp_jax.inference.padded import pad_video
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.settings import Settings
from vp_jax.inference.stream import StepDone
from vp_jax.inference.window import WindowProgram


class MeasuredClip(NamedTuple):
    """One window at the model's size: uint8 frames (F, H, W, 3), bool holes (F, H, W), what it shows."""

    frames_FHWC: np.ndarray
    holes_FHW: np.ndarray
    prompt: str


def measure_drift(pipeline: Pipeline, settings: Settings, clips: Iterable[MeasuredClip]) -> Drift:
    """Sample the first window of each clip completely, and compare its estimates in the hole.

    Args:
      pipeline: of the model.
      settings: of the run; without a step cache.
      clips: of at least one window each.
    """
    program = WindowProgram(pipeline.models, settings, pipeline.schedule)
    found = []
    for clip in clips:
        frames_FHWC, holes_FHW = clip.frames_FHWC[: settings.window], clip.holes_FHW[: settings.window]
        padded = pad_video(frames_FHWC, holes_FHW, settings)
        prompt = pipeline.encode_prompt(clip.prompt)
        holes_BFHW = padded.window(0, settings.window)[1]
        mask_BThw = np.asarray(program.latent_mask(jnp.asarray(holes_BFHW))) > 0
        events = pipeline.windows(padded, prompt, settings)
        found.append([np.asarray(e.state.x0_old)[mask_BThw] for e in events if isinstance(e, StepDone)])
    return Drift.measured(program.table, found)
