"""What a running job reports: `MediaRead`, `Planned`, `Position` and `Arrived` many times, `Done`; and `Note`s."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vp_jax.inference.plan import Position, WindowPlan
from vp_jax.inference.settings import Settings
from vp_jax.media.fit import Fit


class MediaRead(NamedTuple):
    """Video and mask are read.

    Attributes:
      frames, size, fps: of the chosen range; height and width in pixels.
      hole_share, hole_frames: part of all pixels that is hole, and in how many frames there is one.
      note: what a person should know of how the mask was read, "" if nothing.
    """

    frames: int
    size: tuple[int, int]
    fps: Fraction
    hole_share: float
    hole_frames: int
    note: str = ""


class Planned(NamedTuple):
    """The model is loaded, and what it will do is known.

    Attributes:
      source_size, size: height and width of the source, and that the model generates.
      frames: of the source.
      settings, plan: of the windows.
      files: that will be written.
      fit: where the source's frames lie in the model's; None: they are stretched.
    """

    source_size: tuple[int, int]
    size: tuple[int, int]
    frames: int
    settings: Settings
    plan: WindowPlan
    files: tuple[Path, ...]
    fit: Fit | None = None


class Arrived(NamedTuple):
    """Frames are decoded, to be looked at while the rest is made; they are not pasted into the source yet.

    Attributes:
      start: number of the first.
      frames_FHWC: uint8 RGB, at the size that the model generates.
    """

    start: int
    frames_FHWC: np.ndarray


class Note(NamedTuple):
    """What a person should know, in one line: what of the source reached the result or did not, damaged files.

    Attributes:
      topic: ``mask``, ``cuts``, ``extend``, ``remove``, ``preview``, ``prompt``, ``video``, ``kept``, ``verify``; a
        kind of `vp_jax.media.streams.carried.Carried`; ``outside`` says how kept pixels differ in the written file;
        ``format``, ``transparency``, ``light``, ``fields`` or ``chroma`` name what of the source is lost.
      text: what happened.
    """

    topic: str
    text: str


class Done(NamedTuple):
    """Every file is written.

    Attributes:
      seconds: by phase: read, load, encode_prompt, inpaint, write.
      kept: folder of the windows, if they stay, and its bytes.
    """

    seconds: dict[str, float]
    kept: tuple[Path, int] | None = None


class Estimate(NamedTuple):
    """What a run will need, of a dry run.

    Attributes:
      weights: bytes of the weights on the device; the text encoder is loaded before them and freed.
      peak: bytes of the device at the worst moment, estimated from sizes.
      at: what goes on at that moment.
      disk: bytes of the latents that are kept.
      seconds: of all denoising steps, as an earlier run of this job measured them; ``None``: not known.
    """

    weights: int
    peak: int
    at: str
    disk: int
    seconds: float | None


JobEvent = MediaRead | Planned | Position | Arrived | Note | Estimate | Done
