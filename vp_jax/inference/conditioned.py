"""Backbones that take mask and video among their input channels: CogVideoX-Fun-InP and VOID.

They have no context encoder, and differ from VideoPainter in what they are given and in how they are sampled. What a
checkpoint's files do not say is written down here, from the programs that were published with the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vp_jax.errors import UserError
from vp_jax.inference.near_hole import check_model
from vp_jax.inference.settings import Settings
from vp_jax.inference.task import FILL, REMOVE
from vp_jax.media.frames import Frames, Streamed, mapped
from vp_jax.media.masks import dilate
from vp_jax.shapes import SPATIAL_STRIDE, TEMPORAL_STRIDE, latent_frames

if TYPE_CHECKING:  # files are checked without JAX
    from vp_jax.inference.models import Models
    from vp_jax.models.config import DiTConfig
    from vp_jax.models.inpaint_channels import InpaintKind

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
SURROUNDINGS = 1 / 16
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
      affected_FHW: what may change because of it; ``None``: its surroundings, up to `SURROUNDINGS`.
    """
    height, width = removed_FHW.shape[1:]
    reach = round(SURROUNDINGS * min(height, width))

    def hole(number: int, removed_HW: np.ndarray) -> np.ndarray:
        if affected_FHW is not None:
            hole_HW: np.ndarray = removed_HW | affected_FHW[number]
        else:
            hole_HW = dilate(removed_HW[None], reach)[0]
        return hole_HW

    def around(number: int, removed_HW: np.ndarray) -> np.ndarray:
        around_HW: np.ndarray = hole(number, removed_HW) & ~removed_HW
        return around_HW

    def made(function: Callable[[int, np.ndarray], np.ndarray]) -> Frames:
        if isinstance(removed_FHW, np.ndarray) and not isinstance(affected_FHW, Streamed):
            return np.stack([function(number, removed_HW) for number, removed_HW in enumerate(removed_FHW)])
        return mapped(removed_FHW, function, (height, width))

    return Regions(removed_FHW, made(around) if affected_FHW is None else affected_FHW), made(hole)


def own_settings(models: Models) -> dict[str, Any]:
    """Settings whose defaults are others for these models."""
    kind, cfg = models.inpaint_kind, models.backbone_cfg
    if kind is None:
        return {}
    return OWN_SETTINGS[kind] | ({} if _fits(cfg, cfg.sample_frames) else {"window": PAIRED_WINDOW})


def native_size(models: Models) -> tuple[int, int]:
    """Height and width that the backbone was made for."""
    cfg = models.backbone_cfg
    if models.inpaint_kind == "void" and (cfg.sample_height, cfg.sample_width) == BASE_GRID:
        return VOID_SIZE
    return cfg.sample_height * SPATIAL_STRIDE, cfg.sample_width * SPATIAL_STRIDE


def check_backbone(kind: InpaintKind, cfg: DiTConfig, folder: object, *, id_adapter: bool) -> None:
    """Check what a checkpoint with such a backbone has.

    Raises:
      UserError: parts that have no place in it.
    """
    if cfg.ofs_dim:
        raise UserError(
            f"{folder}: a {kind} transformer with an ofs embedding, expected one without: none is published"
        )
    if id_adapter:
        raise UserError(
            f"{folder}: a {kind} transformer takes no ID adapter, which VideoPainter's context encoder feeds"
        )


def check_asked(models: Models, settings: Settings, look: Mapping[str, object], *, bordered: bool) -> None:
    """Check what is asked of a model with such a backbone, and that nothing of it is asked of another.

    Args:
      models: any.
      settings: of the run.
      look: options of the request, see `vp_jax.inference.request.Look`.
      bordered: the video has a border that is drawn.

    Raises:
      UserError: a setting of VideoPainter, a window that cannot be divided into tokens, VOID for anything but a
        removal, or an `affected` mask for another model.
    """
    check_model(models, settings)
    kind = models.inpaint_kind
    if kind != "void" and look.get("affected") is not None:
        raise UserError("affected: this model fills the hole alone, expected a VOID checkpoint, or no `affected`")
    if kind is not None:
        _check_settings(kind, models.backbone_cfg, settings)
    if kind == "void":
        _check_removal(look, bordered=bordered or look.get("extend") is not None)


def _check_settings(kind: InpaintKind, cfg: DiTConfig, settings: Settings) -> None:
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


def _check_removal(look: Mapping[str, object], *, bordered: bool) -> None:
    if (task := look.get("task", FILL)) != REMOVE:
        raise UserError(f"task {task}: this model removes what is there, expected `task` {REMOVE}")
    if bordered:
        raise UserError("extend: this model removes what is there, it cannot draw a border")
    if look.get("first_frame") is not None:
        raise UserError("first_frame: this model is shown the source itself, leave it off")


def _fits(cfg: DiTConfig, window: int) -> bool:
    return latent_frames(window) % (cfg.patch_t or 1) == 0
