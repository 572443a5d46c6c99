"""Mask augmentation: the recipe's five families and one of ours, all random choices drawn once per clip.

    brush          morphology of each frame's own mask: closing, opening, dilation or all of them, 32 x 32 kernel
    rect           one rotated rectangle about the first frame's box, the same on every frame
    ellipse        the same, an ellipse
    circle         the same, a disc
    random_brush   one free-form stroke drawing, the same on every frame; the object is forgotten
    moving_shape   ours: a rectangle or ellipse about each frame's own box, which always covers the object

The first five are the published ones (paper section 3.1; reference `transform_video_masks`), with its order of draws
and its quirks: sizes are in native pixels, static shapes need not cover or follow the object, an opening may delete
a small object and 5 % of the stroke drawings are empty. Masks are uint8 {0, 1}, FHW.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from vp_jax.data.morphology import opencv_dilate, opencv_erode, smooth
from vp_jax.errors import UserError, check_numbers

FAMILIES = ("brush", "rect", "ellipse", "circle", "random_brush", "moving_shape")
MORPHOLOGY = {
    "dilate_erode": (opencv_dilate, opencv_erode),
    "erode_dilate": (opencv_erode, opencv_dilate),
    "dilate_only": (opencv_dilate,),
    "combined": (opencv_erode, opencv_dilate, opencv_dilate, opencv_erode),
}


@dataclass(frozen=True)
class MaskAugment:
    """Probabilities and sizes; the defaults are those of the published training scripts.

    ``grow`` is by how many pixels on each side every mask grows first, as the sampler grows those of its user; the
    recipe does not. ``probability`` is that of changing the mask further; the ``p_*`` then choose the family and sum
    to 1.
    """

    probability: float = 0.3
    p_brush: float = 0.4
    p_rect: float = 0.1
    p_ellipse: float = 0.1
    p_circle: float = 0.1
    p_random_brush: float = 0.3
    p_moving_shape: float = 0.0
    margin_ratio: float = 0.1
    scale_min: float = 1.1
    scale_max: float = 1.5
    kernel: int = 32
    grow: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, " ".join(("probability", *(f"p_{name}" for name in FAMILIES))), 0, 1)
        check_numbers(self, "grow margin_ratio")
        check_numbers(self, "scale_min", above=True)
        check_numbers(self, "scale_max", self.scale_min)
        check_numbers(self, "kernel", 1)
        if abs(sum(self.weights) - 1) > 1e-6:
            raise UserError(f"family probabilities {dict(zip(FAMILIES, self.weights))}: expected a sum of 1")

    @property
    def weights(self) -> tuple[float, ...]:
        """Probability of each family, in the order of `FAMILIES`."""
        return tuple(getattr(self, f"p_{name}") for name in FAMILIES)

    def __call__(self, masks_FHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The clip's masks, grown, and changed with ``probability``."""
        if self.grow:
            masks_FHW = np.stack([opencv_dilate(mask_HW, 2 * self.grow + 1) for mask_HW in masks_FHW])
        if rng.random() >= self.probability:
            return masks_FHW
        return self.apply(str(rng.choice(FAMILIES, p=self.weights)), masks_FHW, rng)

    def apply(self, family: str, masks_FHW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One family, without asking ``probability``."""
        if family == "brush":
            return brush(masks_FHW, rng, self.kernel)
        if family == "random_brush":
            H, W = masks_FHW.shape[1:]
            return _on_every_frame(random_brush(H, W, rng), masks_FHW)
        if family == "moving_shape":
            return moving_shape(masks_FHW, rng, self.scale_min, self.scale_max)
        return static_shape(family, masks_FHW, rng, self.margin_ratio, self.scale_min, self.scale_max)


def _on_every_frame(mask_HW: np.ndarray, masks_FHW: np.ndarray) -> np.ndarray:
    return np.broadcast_to(mask_HW, masks_FHW.shape)


def brush(masks_FHW: np.ndarray, rng: np.random.Generator, kernel: int = 32) -> np.ndarray:
    """One of `MORPHOLOGY` on every frame; with probability 0.1 smoothed after."""
    steps = MORPHOLOGY[str(rng.choice(list(MORPHOLOGY)))]
    blurred = rng.random() < 0.1
    out_FHW = np.empty_like(masks_FHW)
    for mask_HW, out_HW in zip(masks_FHW, out_FHW):
        for step in steps:
            mask_HW = step(mask_HW, kernel)
        out_HW[:] = smooth(mask_HW) if blurred else mask_HW
    return out_FHW


def box_of(mask_HW: np.ndarray) -> tuple[int, int, int, int] | None:
    """First and last column, first and last row of a mask; None if it is empty."""
    rows = np.flatnonzero(mask_HW.any(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(mask_HW[rows[0] : rows[-1] + 1].any(axis=0))
    return int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1])


def draw_shape(
    kind: str, shape: tuple[int, int], centre: tuple[float, float], half: tuple[float, float], degrees: float = 0
) -> np.ndarray:
    """Filled ``rect`` or ``ellipse`` in an H x W mask: centre and half sizes as (x, y), turned clockwise on screen.

    Within a pixel of OpenCV's; the corners of a rectangle are rounded down to integers, as OpenCV does.
    """
    H, W = shape
    mask_HW = np.zeros(shape, np.uint8)
    reach = math.hypot(*half) + 1  # only the square that the shape can touch is evaluated
    top, bottom = max(0, int(centre[1] - reach)), min(H, int(centre[1] + reach) + 2)
    left, right = max(0, int(centre[0] - reach)), min(W, int(centre[0] + reach) + 2)
    if top >= bottom or left >= right:
        return mask_HW
    x_1W = np.arange(left, right, dtype=np.float32)[None, :] - centre[0]
    y_H1 = np.arange(top, bottom, dtype=np.float32)[:, None] - centre[1]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # half a pixel more everywhere: a drawn outline covers the pixels that it crosses
    if kind == "rect":
        inside = np.ones((bottom - top, right - left), bool)
        axes = np.array([[cos, sin], [-sin, cos]]) * np.asarray(half)[:, None]
        corners = [np.trunc(np.add(centre, i * axes[0] + j * axes[1])) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        for start, end in zip(corners, corners[1:] + corners[:1]):
            edge_x, edge_y = (end - start) / max(1e-6, math.hypot(*(end - start)))
            inside &= (y_H1 + centre[1] - start[1]) * edge_x - (x_1W + centre[0] - start[0]) * edge_y >= -0.5
    else:
        along, across = x_1W * cos + y_H1 * sin, y_H1 * cos - x_1W * sin
        inside = (along / (half[0] + 0.5)) ** 2 + (across / (half[1] + 0.5)) ** 2 <= 1
    mask_HW[top:bottom, left:right] = inside
    return mask_HW


def static_shape(
    kind: str, masks_FHW: np.ndarray, rng: np.random.Generator, margin_ratio: float, scale_min: float, scale_max: float
) -> np.ndarray:
    """A shape about the first frame's box on every frame; the masks themselves if the first frame has none."""
    box = box_of(masks_FHW[0])
    if box is None:
        return masks_FHW
    H, W = masks_FHW.shape[1:]
    # images of less than ten pixels have no margin to draw from
    r = rng.integers(0, max(1, int(min(H, W) * margin_ratio)), size=4)
    left, right = max(0, box[0] - int(r[0])), min(W, box[1] + int(r[1]))
    top, bottom = max(0, box[2] - int(r[2])), min(H, box[3] + int(r[3]))
    centre, width, height = ((left + right) // 2, (top + bottom) // 2), right - left, bottom - top
    if kind == "rect":
        degrees = rng.uniform(0, 360)
        half = width * rng.uniform(scale_min, scale_max) / 2, height * rng.uniform(scale_min, scale_max) / 2
        return _on_every_frame(draw_shape("rect", (H, W), centre, half, degrees), masks_FHW)
    if kind == "ellipse":
        half = int(width * rng.uniform(scale_min, scale_max) / 2), int(height * rng.uniform(scale_min, scale_max) / 2)
        return _on_every_frame(draw_shape("ellipse", (H, W), centre, half, rng.uniform(0, 360)), masks_FHW)
    radius = int(max(width, height) * rng.uniform(scale_min, scale_max) / 2)
    return _on_every_frame(draw_shape("ellipse", (H, W), centre, (radius, radius)), masks_FHW)


def moving_shape(masks_FHW: np.ndarray, rng: np.random.Generator, scale_min: float, scale_max: float) -> np.ndarray:
    """A rectangle or ellipse about each frame's box, widened over two frames either side so that it does not flicker.

    The ellipse circumscribes the scaled box. Frames without the object stay empty.
    """
    kind = str(rng.choice(["rect", "ellipse"]))
    scale_x, scale_y = rng.uniform(scale_min, scale_max, size=2)
    grow = 0.5 if kind == "rect" else math.sqrt(0.5)
    boxes = [box_of(mask_HW) for mask_HW in masks_FHW]
    out_FHW = np.zeros_like(masks_FHW)
    for place, box in enumerate(boxes):
        if box is None:
            continue
        near = np.array([b for b in boxes[max(0, place - 2) : place + 3] if b is not None])
        left, right, top, bottom = near[:, 0].min(), near[:, 1].max(), near[:, 2].min(), near[:, 3].max()
        half = (right - left) * grow * scale_x, (bottom - top) * grow * scale_y
        centre = ((left + right) / 2, (top + bottom) / 2)
        out_FHW[place] = draw_shape(kind, masks_FHW.shape[1:], centre, half)
    return out_FHW


def random_brush(H: int, W: int, rng: np.random.Generator) -> np.ndarray:
    """Zero to four poly-lines 128 to 255 pixels wide with round joints, flipped at random: uint8 HW."""
    mean_step = math.hypot(H, W) / 8
    image = Image.new("L", (W, H), 0)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.choice(5, p=np.array([0.05, 0.3, 0.3, 0.3, 0.05]))):
        segments = int(rng.integers(1, 8))
        low = 2 * math.pi / 5 - rng.uniform(0, 2 * math.pi / 15)
        high = 2 * math.pi / 5 + rng.uniform(0, 2 * math.pi / 15)
        angles = [rng.uniform(low, high) if i % 2 else 2 * math.pi - rng.uniform(low, high) for i in range(segments)]
        points = [(int(rng.integers(0, W)), int(rng.integers(0, H)))]
        for angle in angles:
            step = np.clip(rng.normal(mean_step, mean_step // 2), 0, 2 * mean_step)
            x, y = points[-1]
            points.append(
                (int(np.clip(x + step * math.cos(angle), 0, W)), int(np.clip(y + step * math.sin(angle), 0, H)))
            )
        width = int(rng.uniform(128, 256))
        draw.line(points, fill=1, width=width)
        for x, y in points:
            draw.ellipse((x - width // 2, y - width // 2, x + width // 2, y + width // 2), fill=1)
    mask_HW = np.asarray(image)
    if rng.random() < 0.5:
        mask_HW = mask_HW[::-1]
    if rng.random() < 0.5:
        mask_HW = mask_HW[:, ::-1]
    return np.ascontiguousarray(mask_HW)
