"""First frames by an inpainting pipeline of diffusers: FLUX.1-Fill, SDXL, Stable Diffusion; lazily imported."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from vp_jax.edit.wanted import Painter, Wanted
from vp_jax.errors import UserError, escaped
from vp_jax.reading import show

MULTIPLE = 16
"""Height and width that every one of these pipelines takes are multiples of this."""
LARGEST = 1024
"""Longer side of the picture that is painted; larger frames are reduced, and the result is enlarged again."""


def painter(place: str, steps: int | None = None) -> Painter:
    """A painter by the pipeline in a folder, or of a hub id; loaded when the first picture is painted.

    Args:
      place: folder or hub id.
      steps: denoising steps of each picture; ``None``: the pipeline's own number.

    Raises:
      UserError: no name.
    """
    if not place:
        raise UserError("first_frame diffusers: expected diffusers:FOLDER_OR_ID")

    def paint_all(wanted: Wanted, seeds: Sequence[int]) -> Iterator[np.ndarray]:
        pipeline = _load(place)
        for seed in seeds:
            yield _painted(pipeline, wanted, seed, steps)

    return paint_all


def painted_size(height: int, width: int) -> tuple[int, int]:
    """Height and width that are painted for a frame: within `LARGEST`, multiples of `MULTIPLE`."""
    scale = min(1.0, LARGEST / max(height, width))
    rows, columns = (max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in (height, width))
    return rows, columns


def _load(place: str) -> Any:
    try:
        import torch
        from diffusers import AutoPipelineForInpainting, DiffusionPipeline
    except (ImportError, AttributeError, RuntimeError) as error:  # diffusers raises RuntimeError for parts that fail
        reason = escaped(" ".join(str(error).split()))[:200]
        raise UserError(
            f"first_frame diffusers: cannot be imported ({reason}); pip install diffusers transformers torch"
        ) from error
    on_gpu = torch.cuda.is_available()
    try:
        name = str(DiffusionPipeline.load_config(place)["_class_name"])
        # a pipeline that was saved for inpainting is what it says; of others the parts for inpainting are taken
        made_for_it = "Inpaint" in name or "Fill" in name
        loader: Any = DiffusionPipeline if made_for_it else AutoPipelineForInpainting
        dtype = torch.bfloat16 if on_gpu else torch.float32
        pipeline = loader.from_pretrained(place, torch_dtype=dtype, use_safetensors=True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = escaped(" ".join(str(error).split()))[:200]
        raise UserError(f"first_frame diffusers:{show(place)} cannot be loaded ({reason})") from error
    if on_gpu:
        pipeline.enable_model_cpu_offload()
    return pipeline


def _painted(pipeline: Any, wanted: Wanted, seed: int, steps: int | None) -> np.ndarray:
    import torch

    rows, columns = painted_size(*wanted.hole_HW.shape)
    image = Image.fromarray(wanted.frame_HWC).resize((columns, rows), Image.Resampling.LANCZOS)
    mask = Image.fromarray(wanted.hole_HW.astype(np.uint8) * 255).resize((columns, rows), Image.Resampling.NEAREST)
    given: dict[str, Any] = {
        "negative_prompt": wanted.negative_prompt,
        "height": rows,
        "width": columns,
        "strength": 1.0,
    }
    if steps is not None:
        given["num_inference_steps"] = steps
    known = inspect.signature(pipeline.__call__).parameters
    done = pipeline(
        prompt=wanted.prompt,
        image=image,
        mask_image=mask,
        generator=torch.Generator("cpu").manual_seed(seed),
        **{name: value for name, value in given.items() if name in known},
    )
    return np.asarray(done.images[0].convert("RGB"))
