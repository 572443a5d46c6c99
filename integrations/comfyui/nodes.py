"""Four nodes: load a model, mask a thing through a video, inpaint, edit by an instruction.

A video is ComfyUI's IMAGE, float (B, H, W, 3) from 0 to 1, one picture a frame; a mask is its MASK, float (B, H, W), 1
where pixels are generated. Both are torch tensors there. A mask of one picture holds for all frames.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from vp_jax import Pipeline, UserError
from vp_jax.edit.first_frame import FILLED, filled, pasted
from vp_jax.edit.instruction import parse_instruction
from vp_jax.edit.rules import plan_by_rules
from vp_jax.edit.wanted import Wanted
from vp_jax.media.masks import dilate
from vp_jax.segment.backends import named_backend
from vp_jax.segment.prompts import parse_prompts
from vp_jax.segment.tracking import track

CATEGORY = "vp_jax"
FIRST_FRAMES = ("model", "original", FILLED)
TASKS = ("fill", "remove")
FITS = ("stretch", "letterbox", "crop")
_Types = dict[str, dict[str, tuple[Any, ...]]]

_SAMPLING: dict[str, tuple[Any, ...]] = {
    "steps": ("INT", {"default": 0, "min": 0, "max": 1000, "tooltip": "0: as many as the model takes"}),
    "guidance": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 100.0, "step": 0.5, "tooltip": "0: the model's own"}),
    "seed": ("INT", {"default": 42, "min": 0, "max": 2**31 - 1}),
    "grow": ("INT", {"default": 0, "min": 0, "max": 1000, "tooltip": "pixels by which the mask grows on each side"}),
    "fit": (list(FITS), {"default": "stretch"}),
    "first_frame": (list(FIRST_FRAMES), {"default": "model"}),
}


class LoadModel:
    """A model by the name of a packaged one, or by a folder that ``vp-jax convert`` wrote."""

    CATEGORY = CATEGORY
    RETURN_TYPES = ("VP_JAX_MODEL",)
    RETURN_NAMES = ("model",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> _Types:
        """What the node takes."""
        return {"required": {"checkpoint": ("STRING", {"default": "nano"})}}

    def load(self, checkpoint: str) -> tuple[Pipeline]:
        """Load, or take what was loaded last."""
        return (_model(checkpoint.strip()),)


class TrackMask:
    """Masks of a thing through a video, from a box, points or words on one frame."""

    CATEGORY = CATEGORY
    RETURN_TYPES = ("MASK",)
    RETURN_NAMES = ("mask",)
    FUNCTION = "track"

    @classmethod
    def INPUT_TYPES(cls) -> _Types:
        """What the node takes."""
        hint = "box:x,y,width,height, points:x,y;x,y (minus before x: not part of it; @7 behind: frame 7) or words"
        names = "grabcut (words: one colour), or sam2_video:FOLDER_OR_ID, sam3_video:FOLDER_OR_ID (words)"
        return {
            "required": {
                "video": ("IMAGE",),
                "where": ("STRING", {"default": "box:0,0,64,64", "multiline": True, "tooltip": hint}),
            },
            "optional": {"backend": ("STRING", {"default": "grabcut", "tooltip": names})},
        }

    def track(self, video: Any, where: str, backend: str = "grabcut") -> tuple[Any]:
        """Track what each line of ``where`` says of the one thing."""
        frames_FHWC = _frames(video)
        prompts = [prompt for line in where.splitlines() if line.strip() for prompt in parse_prompts(line.strip())]
        name, options = named_backend(backend.strip())
        found = track(lambda: iter(frames_FHWC), prompts, name, **options)
        return (_like(video, np.stack([tracked.labels_HW > 0 for tracked in found]).astype(np.float32)),)


class Inpaint:
    """The masked part of a video made anew by what a prompt describes, or removed."""

    CATEGORY = CATEGORY
    RETURN_TYPES = ("IMAGE",)
    RETURN_NAMES = ("video",)
    FUNCTION = "inpaint"

    @classmethod
    def INPUT_TYPES(cls) -> _Types:
        """What the node takes."""
        return {
            "required": {
                "model": ("VP_JAX_MODEL",),
                "video": ("IMAGE",),
                "mask": ("MASK",),
                "task": (list(TASKS), {"default": "fill"}),
                "prompt": ("STRING", {"default": "", "multiline": True}),
                "negative_prompt": ("STRING", {"default": "", "multiline": True}),
                **_SAMPLING,
            }
        }

    def inpaint(
        self, model: Pipeline, video: Any, mask: Any, task: str, prompt: str, negative_prompt: str = "", **sampling: Any
    ) -> tuple[Any]:
        """Inpaint; pixels outside of the mask are the source's."""
        return (_inpainted(model, video, mask, task, prompt, negative_prompt, sampling),)


class Edit:
    """A video edited by one sentence, such as ``make the dog a fox``; the mask marks what the sentence names."""

    CATEGORY = CATEGORY
    RETURN_TYPES = ("IMAGE", "STRING")
    RETURN_NAMES = ("video", "prompt")
    FUNCTION = "edit"

    @classmethod
    def INPUT_TYPES(cls) -> _Types:
        """What the node takes."""
        return {
            "required": {
                "model": ("VP_JAX_MODEL",),
                "video": ("IMAGE",),
                "mask": ("MASK",),
                "instruction": ("STRING", {"default": "make the dog a fox"}),
                **_SAMPLING,
            },
            "optional": {"caption": ("STRING", {"default": "", "tooltip": "what the video shows now"})},
        }

    def edit(
        self, model: Pipeline, video: Any, mask: Any, instruction: str, caption: str = "", **sampling: Any
    ) -> tuple[Any, str]:
        """Understand the sentence by rules and inpaint; the prompt that was used comes with the video."""
        plan = plan_by_rules(instruction, parse_instruction(instruction), caption.strip() or None)
        size = video.shape[1], video.shape[2]
        sampling["grow"] = sampling.get("grow") or plan.growth(size)
        negative = plan.negative_prompt or ""
        return _inpainted(model, video, mask, plan.task, plan.caption or "", negative, sampling), plan.caption or ""


NODE_CLASS_MAPPINGS = {
    "VpJaxLoadModel": LoadModel,
    "VpJaxTrackMask": TrackMask,
    "VpJaxInpaint": Inpaint,
    "VpJaxEdit": Edit,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "VpJaxLoadModel": "Load model (vp_jax)",
    "VpJaxTrackMask": "Track mask (vp_jax)",
    "VpJaxInpaint": "Inpaint video (vp_jax)",
    "VpJaxEdit": "Edit video by instruction (vp_jax)",
}


@functools.lru_cache(maxsize=1)
def _model(checkpoint: str) -> Pipeline:
    return Pipeline.load(checkpoint)


def _inpainted(
    model: Pipeline, video: Any, mask: Any, task: str, prompt: str, negative: str, sampling: dict[str, Any]
) -> Any:
    frames_FHWC = _frames(video)
    holes_FHW = dilate(_holes(mask, len(frames_FHWC)), sampling.get("grow", 0))
    options: dict[str, Any] = {"task": task, "fit": sampling.get("fit", "stretch"), "seed": sampling.get("seed", 42)}
    options |= {name: sampling[name] for name in ("steps", "guidance") if sampling.get(name)}
    if first := _first_frame(sampling.get("first_frame", "model"), frames_FHWC[0], holes_FHW[0], prompt, negative):
        options["first_frame"] = first[0]
    words, unwanted = prompt.strip() or None, negative.strip() or None
    if task == "fill" and words is None:
        raise UserError("prompt is empty: describe what the finished video shows, or take the task remove")
    result = model(frames_FHWC, holes_FHW, words, negative_prompt=unwanted, progress=_progress(), **options)
    return _like(video, result.frames_FHWC.astype(np.float32) / 255)


def _first_frame(kind: str, frame_HWC: np.ndarray, hole_HW: np.ndarray, prompt: str, negative: str) -> list[Any]:
    """The first frame to go on from, in a list; empty: the model makes it."""
    if kind == "model":
        return []
    if kind == "original":
        return [kind]
    if not hole_HW.any():
        raise UserError("first_frame fill: the mask is empty in the first frame, take original")
    wanted = Wanted(frame_HWC, hole_HW, prompt, negative)
    return [pasted(next(filled(wanted, [0])), wanted)]


def _frames(video: Any) -> np.ndarray:
    """IMAGE as uint8 (F, H, W, 3)."""
    array = np.asarray(video)
    if array.ndim != 4 or array.shape[-1] != 3:
        raise UserError(f"video of shape {array.shape}: expected (frames, height, width, 3)")
    frames_FHWC: np.ndarray = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return frames_FHWC


def _holes(mask: Any, frames: int) -> np.ndarray:
    """MASK as bool (F, H, W)."""
    array = np.asarray(mask)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or len(array) not in (1, frames):
        raise UserError(f"mask of shape {array.shape}: expected (1 or {frames}, height, width)")
    return np.broadcast_to(array > 0.5, (frames, *array.shape[1:]))


def _like(given: Any, array: np.ndarray) -> Any:
    """An array as what was given: a torch tensor in ComfyUI, an array elsewhere."""
    if isinstance(given, np.ndarray):
        return array
    import torch

    return torch.from_numpy(array)


def _progress() -> Callable[[int, int, str], None] | None:
    """ComfyUI's progress bar; ``None`` outside of it."""
    with contextlib.suppress(ImportError):
        from comfy.utils import ProgressBar

        bar = ProgressBar(1)
        return lambda done, total, label: bar.update_absolute(done, total)
    return None
