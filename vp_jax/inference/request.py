"""One call of a pipeline, checked: a video, its holes, and how they reach the model and come back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from vp_jax.errors import UserError
from vp_jax.inference.conditioned import Regions, regions_of
from vp_jax.inference.inputs import Mask, Video, as_mask
from vp_jax.inference.padded import PIXEL_MULTIPLE, PaddedVideo, StreamedVideo, pad_video
from vp_jax.inference.plan import WindowPlan, plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.inference.task import FILL, REMOVE, check_task, growth_of
from vp_jax.media.canvas import resize_frames
from vp_jax.media.extend import border_of, parsed
from vp_jax.media.fit import Fit, check_fit_name, fit_of
from vp_jax.media.frames import Frames, mapped
from vp_jax.media.images import read_image
from vp_jax.media.quadmask import quadmask
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
    fit: str
    task: str
    extend: str | None
    cuts: Sequence[int]
    affected: Mask | np.ndarray | None


class Options(Look, total=False):
    """`Look`, complete settings, or single ones that are changed."""

    settings: Settings | None
    steps: int
    guidance: float
    dynamic_guidance: bool
    guidance_start: float
    guidance_stop: float
    step_cache: str | None
    background_every: int
    sampler: str
    window: int
    overlap: int | None
    mode: str
    clip_weight: float
    joint: bool
    replace_background: bool
    hole_fill: str | None
    injection: Injection
    seed: int


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """What is sampled, and what the result is pasted into.

    Attributes:
      video: the source.
      holes_FHW: bool, at the source's size, True = generated.
      padded: pixels and holes at the model's size, of all windows.
      fit: where the source's frames lie in the model's.
      settings, plan: of the windows.
      paste, feather: see `vp_jax.media.canvas`.
    """

    video: Video
    holes_FHW: Frames
    padded: PaddedVideo
    fit: Fit
    settings: Settings
    plan: WindowPlan
    paste: bool = True
    feather: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that the model generates."""
        return self.padded.size


def holes_of(
    video: Video, mask: Mask | None, first_frame: np.ndarray | str | Path | None = None, task: str = FILL
) -> Frames:
    """Holes of a video, bool (F, H, W), frame 0's closed where the original is kept.

    Raises:
      UserError: a mask that does not fit, or nothing to generate; of streamed holes, whoever reads them all has to
        find the latter, see `check_open_frames`.
    """
    if mask is None:
        return np.broadcast_to(False, (len(video), *video.size))
    holes_FHW = mask.fitted(video, growth_of(task, video.size))
    if not keeps_first(first_frame):
        return holes_FHW
    if isinstance(holes_FHW, np.ndarray) and isinstance(video.frames_FHWC, np.ndarray):
        holes_FHW = holes_FHW.copy()
        holes_FHW[0] = False
        check_open_frames(open_frames=int(holes_FHW.any((1, 2)).sum()), first_frame=first_frame)
        return holes_FHW
    return mapped(holes_FHW, lambda number, hole_HW: hole_HW & (number > 0), holes_FHW.shape[1:])


def keeps_first(first_frame: object) -> bool:
    """Frame 0 stays the source's."""
    return isinstance(first_frame, str) and first_frame == ORIGINAL


def check_open_frames(*, open_frames: int, first_frame: np.ndarray | str | Path | None) -> None:
    """Check that a frame has a hole once frame 0's is closed.

    Raises:
      UserError: none has.
    """
    if keeps_first(first_frame) and not open_frames:
        raise UserError("first_frame original: only frame 0 has a hole, there is nothing to generate")


def with_holes(video: Video, mask: Mask | None, look: Look) -> tuple[Video, Frames]:
    """A video, extended if that is asked for, and its holes, bool (F, H, W), of which the border is a part.

    Raises:
      UserError: a mask that does not fit, or words of ``look`` that do not go together.
    """
    task, extend, first_frame = look.get("task", FILL), look.get("extend"), look.get("first_frame")
    check_holes(task, extend, first_frame, masked=mask is not None)
    holes_FHW = holes_of(video, mask, first_frame, task)
    if extend is None:
        return video, holes_FHW
    border = border_of(extend, *video.size)
    return video.extended(border), border.holes(holes_FHW)


def make_request(
    video: Video, mask: Mask | None, settings: Settings, size: tuple[int, int], look: Look, *, quad: bool = False
) -> Request:
    """Fit a video and its mask to a model that generates ``size`` and, with ``quad``, reads a quad mask.

    Raises:
      UserError: bad input, in one line.
    """
    paste, feather, fit_name = look.get("paste", True), look.get("feather", 0), look.get("fit", "stretch")
    check_feather(feather, paste)
    check_pasted_fit(fit_name, paste)
    video, holes_FHW = with_holes(video, mask, look)
    regions: Regions | None = None
    if quad:
        affected = look.get("affected")
        regions, holes_FHW = regions_of(holes_FHW, None if affected is None else as_mask(affected).fitted(video))
    fit = fit_of(fit_name, holes_FHW, size)
    frames_FHWC, first_HWC = video.frames_FHWC, _first(look.get("first_frame"), video.frames_FHWC, fit)
    padded: PaddedVideo
    cuts = look.get("cuts", ())
    plan = plan_windows(len(video), settings, cuts)
    if isinstance(frames_FHWC, np.ndarray) and isinstance(holes_FHW, np.ndarray) and not cuts:
        quad_FHW = None if regions is None else quadmask(*(fit.holes(np.asarray(part)) for part in regions))
        padded = pad_video(fit.frames(frames_FHWC), fit.holes(holes_FHW), settings, first_HWC, quad_FHW)
    else:
        padded = StreamedVideo(frames_FHWC, holes_FHW, fit, settings, first_HWC, cuts, regions)
    return Request(video, holes_FHW, padded, fit, settings, plan, paste, feather)


def check_holes(task: str, extend: str | None, first_frame: object, *, masked: bool) -> None:
    """Raises:
    UserError: an unknown task, a border that cannot be, no hole at all, or words that contradict each other.
    """
    check_task(task)
    original = keeps_first(first_frame)
    if extend is not None:
        parsed(extend)
    elif not masked:
        raise UserError("no `mask`, and nothing to `extend`: expected one of them, or both")
    if extend is not None and original:
        raise UserError(
            f"first_frame original with `extend` {extend}: frame 0 needs a border too, leave one of them off"
        )
    if task == REMOVE and original:
        raise UserError(
            "first_frame original with `task` remove: frame 0 would keep what is to be removed; leave one of them off, "
            "or give a picture without it"
        )
    if task == REMOVE and not masked:
        raise UserError("task remove: expected a `mask` of what is to be removed")


def check_pasted_fit(fit: str, paste: bool) -> None:
    """Raises:
    UserError: an unknown word, or a crop that is not pasted.
    """
    check_fit_name(fit)
    if fit == "crop" and not paste:
        raise UserError("fit crop: the model sees a part of the picture, expected a result that is pasted")


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


def _first(first_frame: np.ndarray | str | Path | None, frames_FHWC: Frames, fit: Fit) -> np.ndarray | None:
    """The frame that replaces frame 0, at the model's size."""
    if first_frame is None:
        return None
    if isinstance(first_frame, str) and first_frame == ORIGINAL:
        first_HWC: np.ndarray = fit.frames(np.asarray(frames_FHWC[0])[None])[0]
        return first_HWC
    given = read_image(first_frame) if isinstance(first_frame, str | Path) else first_frame
    picture: np.ndarray = np.asarray(given)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise UserError(
            f"first_frame is {picture.dtype} of shape {picture.shape}: expected uint8 (height, width, 3), a file, "
            f"or {ORIGINAL!r}"
        )
    if fit.inside.size != fit.model or not fit.complete:  # a box of it, in the source's pixels
        picture = resize_frames(picture[None], *fit.source)[0]
    resized: np.ndarray = fit.frames(picture[None])[0]
    return resized
