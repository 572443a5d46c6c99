"""VideoPainter (arXiv 2503.05639) in JAX: text-guided video inpainting of any length.

    from vp_jax import Pipeline, read_mask, read_video

    pipe = Pipeline.load("nano")                     # or a folder made by `vp-jax convert`
    result = pipe(read_video("in.mp4"), read_mask("mask.png"), "a red circle")
    result.save("out.mp4")

Names are imported when they are first used: ``import vp_jax`` takes no time and loads no JAX.
"""

from __future__ import annotations

import importlib
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vp_jax.errors import UserError
    from vp_jax.inference.inputs import Mask, Video
    from vp_jax.inference.pipeline import Pipeline
    from vp_jax.inference.prompt import Prompt
    from vp_jax.inference.result import Result, Segment
    from vp_jax.inference.settings import Settings
    from vp_jax.models.config import Injection

    read_mask, read_video = Mask.read, Video.read

__version__ = "0.1.0"

__all__ = [
    "Injection",
    "Mask",
    "Pipeline",
    "Prompt",
    "Result",
    "Segment",
    "Settings",
    "UserError",
    "Video",
    "__version__",
    "read_mask",
    "read_video",
]

_PLACES = {
    "Injection": "vp_jax.models.config:Injection",
    "Mask": "vp_jax.inference.inputs:Mask",
    "Pipeline": "vp_jax.inference.pipeline:Pipeline",
    "Prompt": "vp_jax.inference.prompt:Prompt",
    "Result": "vp_jax.inference.result:Result",
    "Segment": "vp_jax.inference.result:Segment",
    "Settings": "vp_jax.inference.settings:Settings",
    "UserError": "vp_jax.errors:UserError",
    "Video": "vp_jax.inference.inputs:Video",
    "read_mask": "vp_jax.inference.inputs:Mask.read",
    "read_video": "vp_jax.inference.inputs:Video.read",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    value = globals()[name] = operator.attrgetter(attribute)(importlib.import_module(module))
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
