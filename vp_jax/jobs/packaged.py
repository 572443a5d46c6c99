"""The model that comes with the package, and a clip to try it on: what sample.py does when it is given nothing.

`FOLDER` is a converted checkpoint like any other, trained by train.py on the drawn world of `vp_jax.world.synthetic`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vp_jax.errors import UserError
from vp_jax.files import beside
from vp_jax.media.masks import dilate
from vp_jax.media.video_writer import write_video
from vp_jax.world.synthetic import HELD_OUT, World

FOLDER = Path(__file__).parent.parent / "nano"

NOTE = (
    "nano is a tiny model of 64 x 96 pixels that knows a world of coloured shapes and nothing of the real one; "
    "--checkpoint DIR takes a real model"
)

IS = (
    "VideoPainter whole: 3-D VAE, text encoder, diffusion transformer, context encoder, ID adapter",
    "the classes, sampler and weight layout of the full-size model, only narrower and shallower",
    "trained by this repository's train.py, on two CPU cores, on clips drawn by a program",
)

IS_NOT = (
    "a model of real video: it has never seen a photograph",
    "a measure of what the full-size model can do",
    "good at words, shapes and motions outside its small world",
)

DEFAULTS: dict[str, Any] = {
    "checkpoint": FOLDER, "out": Path("nano_out/nano.mp4"), "precision": "float32",
    "steps": 20, "guidance": 3.0, "static_guidance": True,
}  # fmt: skip
"""Settings of sample.py that suit this model."""

CLIP = 2
"""Which held-out clip is shown."""

GROW = 2
"""Pixels by which the mask is grown: it does not give the outline away, and reaches cells that it only touches."""

CLIP_SIZE = (17, 64, 96)
"""Its frames, height and width: one window of the model."""

COMMANDS = (
    "python sample.py --seed 7                     # other noise, another filling",
    "python sample.py --steps 50 --guidance 5      # slower, nearer to the words",
    "python sample.py --video mine.mp4 --mask mask.png --prompt 'a red circle'   # your own, at 64 x 96",
    "python -m bench.ablation                      # which part of the method does what",
)


def check() -> None:
    """Raises:
    UserError: the package holds no weights.
    """
    if not (FOLDER / "transformer").is_dir():
        raise UserError("this copy of vp_jax has no nano model (vp_jax/nano): give --checkpoint DIR")


def write_clip(out: Path, frames: int, height: int, width: int) -> dict[str, Any]:
    """Write the demonstration's clip and mask, lossless, and say how sample.py is to use them.

    Args:
      out: where the result goes; beside ``nano.mp4`` are ``nano_source.mkv`` and ``nano_mask.mkv`` afterwards.

    Returns:
      Arguments of sample.py: ``video``, ``mask``, ``prompt`` and ``first_frame`` (the paper takes a finished first
      frame from an image model; here frame 0 is given as it is).
    """
    clip = World(CLIP + 1, frames, height, width, first=HELD_OUT)[CLIP]
    frames_FHWC, masks_FHW = clip.read(np.arange(frames))
    holes_FHW = dilate(masks_FHW > 0, GROW)
    video, mask = beside(out, "_source.mkv"), beside(out, "_mask.mkv")
    write_video(video, frames_FHWC, clip.open().fps)
    write_video(mask, np.repeat(holes_FHW[..., None] * np.uint8(255), 3, axis=3), clip.open().fps)
    return {"video": video, "mask": mask, "prompt": clip.caption, "first_frame": "original"}
