"""Vision-language models that describe pictures: any OpenAI-compatible endpoint, or a local model of transformers.

    vlm = connect("http://localhost:11434/v1")        # or connect("local:FOLDER_OR_ID")
    vlm.ask("What is in the picture?", [frame_HWC])
    vlm.ask("Name the object.", [frame_HWC], schema={"type": "object", "properties": {"name": {"type": "string"}}})

Nothing is imported or contacted before the first question.
"""

from vp_jax.vlm.connection import connect
from vp_jax.vlm.protocol import Vlm

__all__ = ["Vlm", "connect"]
