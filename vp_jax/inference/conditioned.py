"""Backbones that take mask and video among their input channels: CogVideoX-Fun-InP and VOID.

They have no context encoder, and differ from VideoPainter in what they are given and in how they are sampled. What a
checkpoint's files do not say is written down here, from the programs that were published with the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings
from vp_jax.inference.task import REMOVE
from vp_jax.media.frames import Frames, Streamed, mapped
from vp_jax.media.masks import dilate
from vp_jax.models.config import DiTConfig
from vp_jax.models.inpaint_channels import InpaintKind
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE, latent_frames

OWN_SETTINGS: dict[InpaintKind, dict[str, Any]] = {
    "fun_inp": {"sampler": "ddim", "dynamic_guidance": False, "replace_background": False},
    "void": {
        "sampler": "ddim",
        "dynamic_guidance": False,
        "replace_background": False,
        "guidance": 1.0,
        "joint": True,
    },
}
"""Settings of the published programs; the backbone sees the background and draws it again, nothing is put back."""

PAIRED_WINDOW = 85
"""Frames per window of CogVideoX-Fun V1.5 and VOID, whose ``config.json`` names CogVideoX 1.0's 49."""
BASE_GRID = (60, 90)
"""Rows and columns of latents in the ``config.json`` of VOID's base."""
VOID_SIZE = (384, 672)
"""Height and width that VOID was trained and is sampled at."""
REACH = 1 / 16
"""Share of a picture's shorter side around the removed thing that VOID may change, where no `affected` mask says it."""


class Regions(NamedTuple):
    """What VOID is told of a hole, bool (F, H, W).

    Attributes:
      removed_FHW: the thing that is removed.
      affected_FHW: what may change because of it; both may overlap.
    """

    removed_FHW: Frames
    affected_FHW: Frames


def regions_of(removed_FHW: Frames, affected_FHW: Frames | None) -> tuple[Regions, Frames]:
    """The regions of a removal, and the hole: everything that may change.

    Args:
      removed_FHW: the thing that is removed.
      affected_FHW: what may change because of it; ``None``: its surroundings, up to `REACH`.
    """
    height, width = removed_FHW.shape[1:]
    reach = round(REACH * min(height, width))

    def hole(number: int, removed_HW: np.ndarray) -> np.ndarray:
        if affected_FHW is not None:
            return removed_HW | affected_FHW[number]
        return dilate(removed_HW[None], reach)[0]

    def around(number: int, removed_HW: np.ndarray) -> np.ndarray:
        return hole(number, removed_HW) & ~removed_HW

    def made(function: Callable[[int, np.ndarray], np.ndarray]) -> Frames:
        if isinstance(removed_FHW, np.ndarray) and not isinstance(affected_FHW, Streamed):
            return np.stack([function(number, removed_HW) for number, removed_HW in enumerate(removed_FHW)])
        return mapped(removed_FHW, function, (height, width))

    return Regions(removed_FHW, made(around) if affected_FHW is None else affected_FHW), made(hole)


def own_settings(kind: InpaintKind | None, cfg: DiTConfig) -> dict[str, Any]:
    """Settings whose defaults are others for a backbone of this kind."""
    if kind is None:
        return {}
    return OWN_SETTINGS[kind] | ({} if _fits(cfg, cfg.sample_frames) else {"window": PAIRED_WINDOW})


def native_size(kind: InpaintKind | None, cfg: DiTConfig) -> tuple[int, int]:
    """Height and width that a backbone was made for."""
    grid = cfg.sample_height, cfg.sample_width
    if kind == "void" and grid == BASE_GRID:
        return VOID_SIZE
    return grid[0] * SPATIAL_STRIDE, grid[1] * SPATIAL_STRIDE


def check_backbone(kind: InpaintKind, cfg: DiTConfig, folder: object, *, id_adapter: bool) -> None:
    """Check what a checkpoint with such a backbone has.

    Raises:
      UserError: parts that have no place in it.
    """
    if cfg.ofs_dim:
        raise UserError(f"{folder}: a {kind} transformer with an ofs embedding, expected one without: none is published")
    if id_adapter:
        raise UserError(f"{folder}: a {kind} transformer takes no ID adapter, which VideoPainter's context encoder feeds")


def check_settings(kind: InpaintKind | None, cfg: DiTConfig, settings: Settings) -> None:
    """Check settings for a backbone.

    Raises:
      UserError: a setting that belongs to VideoPainter, or a window that cannot be divided into tokens.
    """
    if kind is None:
        return
    if settings.mode != "default":
        raise UserError(f"mode {settings.mode}: expected default, it repeats VideoPainter's program, not {kind}'s")
    if settings.clip_weight:
        raise UserError(f"clip_weight {settings.clip_weight}: expected 0, a {kind} model has no ID adapter")
    if not _fits(cfg, settings.window):
        step = TEMPORAL_STRIDE * (cfg.patch_t or 1)
        first = step - TEMPORAL_STRIDE + 1
        raise UserError(
            f"window {settings.window}: expected {first}, {first + step}, {first + 2 * step} ... {step} n + {first}, "
            f"this model pairs latent frames"
        )


def check_task(
    kind: InpaintKind | None, task: str, *, affected: bool, bordered: bool, first_frame: bool
) -> None:
    """Check what a request asks of a model.

    Raises:
      UserError: VOID for anything but a removal; an `affected` mask for another model.
    """
    if kind != "void":
        if affected:
            raise UserError("affected: this model fills the hole alone, expected a VOID checkpoint, or no `affected`")
        return
    if task != REMOVE:
        raise UserError(f"task {task}: this model removes what is there, expected `task` {REMOVE}")
    if bordered:
        raise UserError("extend: this model removes what is there, it cannot draw a border")
    if first_frame:
        raise UserError("first_frame: this model is shown the source itself, leave it off")


def _fits(cfg: DiTConfig, window: int) -> bool:
    return latent_frames(window) % (cfg.patch_t or 1) == 0
