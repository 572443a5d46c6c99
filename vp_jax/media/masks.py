"""Masks at the door: a video, a folder, one image or VPData's ``all_masks.npz`` to holes_FHW, True = to be generated.

What counts as hole:

=========================================  ===========================================================================
source                                     hole
=========================================  ===========================================================================
grey or colour (image, video)              brightest channel >= 128 (so pure red or blue counts, grey as usual);
                                           transparent pixels are black, 16-bit values are scaled to 8 bits
... whose maximum over all frames is 1     value > 0 (a 0/1 mask that was never scaled)
palette image with coloured entries        index > 0, whatever the colours (DAVIS annotations)
palette image with grey entries only       as grey
labels: ``arr_0`` of an .npz, (T, H, W)    label == ``mask_id`` (VPData); without an id: label > 0, if there is only one
any image with ``mask_id`` given           palette index or grey value == ``mask_id``
=========================================  ===========================================================================

A single image holds for all frames. A mask that is empty in every frame, or full in every frame, is a mistake.

Growing a hole by N pixels (`dilate`) adds exactly N on each of its four sides, corners included: a square of side
2N + 1 around every pixel, in pixels of the source. The reference's ``dilate_size`` d is the side of a square, off
centre when even; ``N = d // 2`` corresponds.
"""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from vp_jax.errors import UserError
from vp_jax.media import video
from vp_jax.shapes import SPATIAL_STRIDE, latent_index


def read_masks(
    path: str | Path, *, mask_id: int | None = None, start: int = 0, stop: int | None = None, step: int = 1
) -> np.ndarray:
    """Holes of frames ``[start, stop)``, every ``step``-th, by the table above.

    Args:
      path: video, folder of images, image (F = 1 comes back) or .npz of labels.
      mask_id: the label that is the hole; for videos there are no labels.
      start, stop, step: the same choice of frames as was made from the video, `video.subsample_step`.

    Returns:
      holes_FHW, bool.

    Raises:
      UserError: unreadable, no such label, or several labels and none chosen.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.suffix.lower() == ".npz":
        return _chosen(_read_labels(path), mask_id, path)[start:stop:step]
    if is_static(path):
        return _images([path], mask_id, path)
    if path.is_dir():
        return _images(video.image_files(path)[start:stop:step], mask_id, path)
    if mask_id is not None:
        raise UserError(f"{path}: mask_id {mask_id} needs labels (.npz or images), a video holds none; leave it off")
    frames = itertools.islice(video.frame_images(path), start, stop, step)
    values = [frame_HWC.max(axis=2) for frame_HWC in frames]
    if not values:
        raise UserError(f"{path}: no masks left in the chosen range of frames")
    return _threshold(values, path)


def is_static(path: str | Path) -> bool:
    """Whether a mask is one image, which holds for every frame."""
    return Path(path).suffix.lower() in video.IMAGE_SUFFIXES


def align(
    holes_FHW: np.ndarray,
    *,
    frames: int,
    height: int,
    width: int,
    static: bool = False,
    resize: bool = False,
    invert: bool = False,
    grow: int = 0,
) -> np.ndarray:
    """Fit holes to a video: repeat (``static``), resize (nearest, if allowed), invert, grow, then check.

    Args:
      holes_FHW: bool, from `read_masks`.
      frames, height, width: of the video.
      grow: pixels added on each side, see `dilate`.

    Returns:
      holes_FHW, bool, of exactly the video's shape.

    Raises:
      UserError: another count or size, nothing to generate, or nothing to keep.
    """
    if static and len(holes_FHW) == 1:
        holes_FHW = np.repeat(holes_FHW, frames, axis=0)
    if len(holes_FHW) != frames:
        hint = "; give the image file itself to use it for all frames" if len(holes_FHW) == 1 else ""
        raise UserError(f"the mask has {len(holes_FHW)} frames, the video {frames}: they need one mask per frame{hint}")
    if holes_FHW.shape[1:] != (height, width):
        if not resize:
            raise UserError(
                f"the mask is {holes_FHW.shape[2]}x{holes_FHW.shape[1]} pixels, the video {width}x{height}: "
                "give a mask of the video's size, or allow resizing with --mask_resize"
            )
        images = (Image.fromarray(h_HW).resize((width, height), Image.Resampling.NEAREST) for h_HW in holes_FHW)
        holes_FHW = np.stack([np.asarray(image) for image in images])
    if invert:
        holes_FHW = ~holes_FHW
    holes_FHW = dilate(holes_FHW, grow)
    if not holes_FHW.any():
        raise UserError("the mask is empty in every frame, there is nothing to generate; white (>= 128) marks the hole")
    if holes_FHW.all():
        raise UserError("the mask covers every frame wholly, there is nothing to keep; is it meant to be inverted?")
    return holes_FHW


def dilate(holes_FHW: np.ndarray, radius: int) -> np.ndarray:
    """Grow holes by ``radius`` pixels on each side (square neighbourhood, symmetric; the frame's edge adds nothing).

    Raises:
      UserError: a negative radius.
    """
    if radius < 0:
        raise UserError(f"mask_dilate {radius}: expected 0 or more pixels")
    for axis in (1, 2):
        # a pixel grown by g reaches g + 1 pixels inwards even at the frame's edge, so a jump of g + 1 leaves no gap
        grown = 0
        while grown < radius:
            jump = min(grown + 1, radius - grown)
            holes_FHW = _spread(holes_FHW, jump, axis)
            grown += jump
    return holes_FHW


def _spread(holes_FHW: np.ndarray, by: int, axis: int) -> np.ndarray:
    """Union of holes with themselves moved by ``by`` pixels to both sides along an axis."""
    holes_xFH = np.moveaxis(holes_FHW, axis, 0)
    out_xFH = holes_xFH.copy()
    out_xFH[by:] |= holes_xFH[:-by]
    out_xFH[:-by] |= holes_xFH[by:]
    return np.moveaxis(out_xFH, 0, axis)


def _images(files: list[Path], mask_id: int | None, source: Path) -> np.ndarray:
    if not files:
        raise UserError(f"{source}: no masks left in the chosen range of frames")
    images = [_mask_image(file, mask_id is not None) for file in files]
    for file, image in zip(files, images):
        if image.values_HW.shape != images[0].values_HW.shape:
            (height, width), (rows, columns) = image.values_HW.shape, images[0].values_HW.shape
            raise UserError(
                f"{file}: {width}x{height} pixels, but the masks before it are {columns}x{rows}: "
                "all masks of a folder need one size"
            )
    if mask_id is not None or any(image.coloured for image in images):
        indexes = [image.index_HW for image in images if image.index_HW is not None]
        if len(indexes) < len(images):
            raise UserError(f"{source}: expected label images throughout (palette or grey), some are colour pictures")
        labels_FHW = np.stack(indexes)
        return labels_FHW > 0 if mask_id is None else _chosen(labels_FHW, mask_id, source)
    return _threshold([image.values_HW for image in images], source)


class _MaskImage(NamedTuple):
    """One image both ways: brightness, and labels if it can hold them; ``coloured``: a palette with colours in use."""

    values_HW: np.ndarray
    index_HW: np.ndarray | None
    coloured: bool


def _mask_image(file: Path, labels: bool) -> _MaskImage:
    index_HW, coloured = None, False
    with video.opened_image(file) as image:
        if image.mode == "P":
            index_HW = np.asarray(image)
            palette = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            used = palette[np.unique(index_HW[index_HW < len(palette)])]
            coloured = bool((used != used[:, :1]).any())
        elif labels and image.mode in ("1", "L", "I", "I;16"):
            index_HW = np.asarray(image).astype(np.int32)
    return _MaskImage(video.read_image(file).max(axis=2), index_HW, coloured)


def _threshold(values: list[np.ndarray], source: Path) -> np.ndarray:
    values_FHW = np.stack(values)
    top = int(values_FHW.max())
    if top == 1:
        return values_FHW > 0
    if 1 < top < 128:
        raise UserError(f"{source}: brightest value is {top}, a hole has 128 or more; for labels give --mask_id")
    return values_FHW >= 128


def _read_labels(path: Path) -> np.ndarray:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = archive.files
            name = "arr_0" if "arr_0" in names else names[0] if len(names) == 1 else None
            if name is None:
                raise UserError(f"{path}: arrays {sorted(names)}, expected arr_0 with labels (frames, height, width)")
            labels_FHW = archive[name]
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: cannot be read as an .npz of masks ({str(error).splitlines()[0][:120]})") from error
    if labels_FHW.ndim != 3 or labels_FHW.size == 0 or labels_FHW.dtype.kind not in "biu":
        raise UserError(
            f"{path}: array {labels_FHW.dtype} of shape {labels_FHW.shape}, expected integers (frames, height, width)"
        )
    return labels_FHW


def _chosen(labels_FHW: np.ndarray, mask_id: int | None, source: Path) -> np.ndarray:
    present = [int(label) for label in np.unique(labels_FHW)]
    if mask_id is None:
        if len([label for label in present if label]) > 1:
            raise UserError(f"{source}: holds labels {_listed(present)}; choose the hole with --mask_id")
        return labels_FHW != 0
    if mask_id not in present:
        raise UserError(f"{source}: no pixel has label {mask_id}, expected one of {_listed(present)}")
    return labels_FHW == mask_id


def _listed(labels: list[int]) -> str:
    return ", ".join(str(label) for label in labels[:12]) + (" ..." if len(labels) > 12 else "")


def cover_cells(holes_FHW: np.ndarray) -> np.ndarray:
    """Holes grown to whole latent cells: 8 x 8 pixels of one latent frame (frame 0, then four frames each).

    The latent mask takes one pixel of a cell for the whole (model facts, section 4). A cell whose other pixels are in
    the hole would be kept as background, black part included: a dark rim.

    Args:
      holes_FHW: bool or {0, 1}, 1 = hole; H and W multiples of 8.
    """
    F, H, W = holes_FHW.shape
    stride = SPATIAL_STRIDE
    cells_Fhw = holes_FHW.reshape(F, H // stride, stride, W // stride, stride).max((2, 4))
    group_F = latent_index(F)
    latent_Thw = np.stack([cells_Fhw[group_F == group].max(0) for group in range(group_F[-1] + 1)])
    return latent_Thw[group_F].repeat(stride, axis=1).repeat(stride, axis=2)
