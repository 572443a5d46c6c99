"""A clip to try the packaged model on, and what people should know about that model.

The model itself is `vp_jax.inference.named.NAMED`: a converted checkpoint like any other, trained by train.py on the
drawn world of `vp_jax.world.synthetic`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.files import beside
from vp_jax.media.masks import dilate, white_on_black
from vp_jax.media.video_writer import write_video
from vp_jax.world.synthetic import HELD_OUT, World, WorldClip

NOTE = (
    "nano is a tiny model of 64 x 96 pixels that knows a world of coloured shapes and nothing of the real one; "
    "--checkpoint DIR takes a real model"
)

IS = (
    "VideoPainter, complete: 3-D VAE, text encoder, diffusion transformer, context encoder, ID adapter",
    "the classes, sampler and weight layout of the full-size model, only narrower and shallower",
    "trained by this repository's train.py, on two CPU cores, on clips drawn by a program",
)

IS_NOT = (
    "a model of real video: it has never seen a photograph",
    "a measure of what the full-size model can do",
    "good at words, shapes and motions outside its small world",
)

OUT = Path("nano_out/nano.mp4")
"""Where the demonstration goes, unless asked otherwise."""

CLIP = 0
"""Which held-out clip is shown."""

GROW = 2
"""Pixels by which the mask is grown: it does not give the outline away, and reaches cells that it only touches."""

CLIP_SIZE = (17, 64, 96)
"""Its frames, height and width: one window of the model."""

TRY_NEXT = (
    "python sample.py --seed 7                     # other noise, another filling",
    "python sample.py --steps 20                   # slower, finer and noisier",
    "python sample.py --video mine.mp4 --mask mask.png --prompt 'a red circle'   # your own, at 64 x 96",
    "python -m bench.ablation                      # which part of the method does what",
)


def demonstration(out: Path) -> dict[str, Any]:
    """Fields of a `vp_jax.jobs.job.Job` that fills the hole of the packaged clip.

    The paper takes a finished first frame from an image model; here frame 0 is given as it is.

    Args:
      out: of the result; beside ``nano.mp4`` are ``nano_source.mkv`` and ``nano_mask.mkv``.
    """
    return {
        "video": beside(out, "_source.mkv"),
        "mask": beside(out, "_mask.mkv"),
        "prompt": _clip().caption,
        "first_frame": "original",
        "demonstration": True,
    }


def write_clip(video: Path, mask: Path) -> None:
    """Write the demonstration's clip and mask, lossless."""
    clip = _clip()
    frames_FHWC, masks_FHW = clip.read(np.arange(CLIP_SIZE[0]))
    holes_FHW = dilate(masks_FHW > 0, GROW)
    write_video(video, frames_FHWC, clip.open().fps)
    write_video(mask, white_on_black(holes_FHW), clip.open().fps)


def _clip() -> WorldClip:
    return World(CLIP + 1, *CLIP_SIZE, first=HELD_OUT)[CLIP]
