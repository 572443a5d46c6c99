"""One call of a pipeline, checked: a video, its holes, and how they reach the model and come back."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypedDict

import numpy as np

from vp_jax.errors import UserError
from vp_jax.inference.inputs import Mask, Video
from vp_jax.inference.padded import PIXEL_MULTIPLE, PaddedVideo, pad_video
from vp_jax.inference.plan import WindowPlan, plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.media.canvas import resize_frames, resize_holes
from vp_jax.media.images import read_image
from vp_jax.models.config import Injection
from vp_jax.schema import check_number

ORIGINAL = "original"
"""As ``first_frame``: keep the video's own first frame."""


class Look(TypedDict, total=False):
    """How a result is made and put together; see `vp_jax.Pipeline.__call__`."""

    first_frame: np.ndarray | str | Path | None
    height: int | None
    width: int | None
    paste: bool
    feather: int


class Options(Look, total=False):
    """`Look`, complete settings, or single ones that are changed."""

    settings: Settings | None
    steps: int
    guidance: float
    dynamic_guidance: bool
    sampler: str
    window: int
    overlap: int | None
    mode: str
    clip_weight: float
    replace_background: bool
    hole_fill: str | None
    injection: Injection
    seed: int


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """What is sampled, and what the result is pasted into.

    Attributes:
      video: the source.
      holes_FHW: bool, at the source's size.
      padded: pixels and holes at the model's size, of all windows.
      settings, plan: of the windows.
      paste, feather: see `vp_jax.media.canvas`.
    """

    video: Video
    holes_FHW: np.ndarray
    padded: PaddedVideo
    settings: Settings
    plan: WindowPlan
    paste: bool = True
    feather: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the model generates."""
        return self.padded.frames_FHWC.shape[1], self.padded.frames_FHWC.shape[2]


def holes_of(video: Video, mask: Mask, first_frame: np.ndarray | str | Path | None = None) -> np.ndarray:
    """Holes of a video, bool (F, H, W), frame 0's closed where the original is kept.

    Raises:
      UserError: a mask that does not fit, or nothing to generate.
    """
    holes_FHW = mask.fitted(video)
    if isinstance(first_frame, str) and first_frame == ORIGINAL:
        holes_FHW = holes_FHW.copy()
        holes_FHW[0] = False
        if not holes_FHW.any():
            raise UserError("first_frame original: only frame 0 has a hole, there is nothing to generate")
    return holes_FHW


def make_request(video: Video, mask: Mask, settings: Settings, size: tuple[int, int], look: Look) -> Request:
    """Fit a video and its mask to a model that generates ``size``.

    Raises:
      UserError: bad input, in one line.
    """
    paste, feather = look.get("paste", True), look.get("feather", 0)
    check_feather(feather, paste)
    first_frame = look.get("first_frame")
    holes_FHW = holes_of(video, mask, first_frame)
    frames_FHWC = resize_frames(video.frames_FHWC, *size)
    padded = pad_video(frames_FHWC, resize_holes(holes_FHW, *size), settings, _first(first_frame, frames_FHWC[0], size))
    return Request(video, holes_FHW, padded, settings, plan_windows(len(video), settings), paste, feather)


def check_feather(feather: int, paste: bool) -> None:
    """Raises:
    UserError: a width out of its range, or one where nothing is pasted.
    """
    check_number("feather", feather)
    if feather and not paste:
        raise UserError(f"feather {feather}: expected a result that is pasted, or feather 0")


def check_size(height: int | None, width: int | None) -> None:
    """Raises:
    UserError: a size of the generated video that is no multiple of 16.
    """
    for name, size in (("height", height), ("width", width)):
        if size is not None:
            check_number(name, size)
            if size % PIXEL_MULTIPLE:
                raise UserError(f"{name} {size}: expected a multiple of {PIXEL_MULTIPLE}")


def _first(
    first_frame: np.ndarray | str | Path | None, own_HWC: np.ndarray, size: tuple[int, int]
) -> np.ndarray | None:
    """The frame that replaces frame 0, at the model's size."""
    if first_frame is None:
        return None
    if isinstance(first_frame, str) and first_frame == ORIGINAL:
        return own_HWC
    given = read_image(first_frame) if isinstance(first_frame, str | Path) else first_frame
    picture: np.ndarray = np.asarray(given)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise UserError(
            f"first_frame is {picture.dtype} of shape {picture.shape}: expected uint8 (height, width, 3), a file, "
            f"or {ORIGINAL!r}"
        )
    resized: np.ndarray = resize_frames(picture[None], *size)[0]
    return resized
