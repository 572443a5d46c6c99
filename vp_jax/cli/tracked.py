"""``--mask`` of a prompt instead of a file: the mask is tracked first, in the same command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vp_jax.errors import UserError, escaped
from vp_jax.files import beside
from vp_jax.media.video_writer import check_output
from vp_jax.reading import show
from vp_jax.segment.prompts import looks_like_prompt


def tracked_mask(values: Mapping[str, Any], segmenter: str = "grabcut") -> Path:
    """The mask file that ``--mask`` asks for where no file has its name: a box, points or words, tracked.

    The file lies beside the result, and the job reads it as any other mask.

    Args:
      values: of the flags ``--mask``, ``--video``, ``--out``, ``--start``, ``--stop`` and ``--folder_fps``.
      segmenter: see `vp_jax.segment.backends.named_backend`.

    Raises:
      UserError: the name of a file that is missing, a prompt that cannot be used, or words that are not understood.
    """
    from vp_jax.segment.backends import named_backend  # OpenCV, only where something is tracked
    from vp_jax.segment.mask_files import prompt_of, write_masks

    text, out = str(values["mask"]), beside(check_output(values["out"]), "_tracked.mkv")
    if not looks_like_prompt(text) and not re.fullmatch(r"[^/\\.]*", text):
        return Path(text)
    prompts = prompt_of(text, frame=values["start"])
    if values["video"] is None:
        raise UserError(f"--mask {show(text)}: there is no --video to track it in")
    backend, options = named_backend(segmenter)
    report = write_masks(
        values["video"],
        prompts,
        out,
        start=values["start"],
        stop=values["stop"],
        folder_fps=values["folder_fps"],
        backend=backend,
        **options,
    )
    for line in (f"{show(text)} in {show(out)}", *report.lines()):
        print(f"track    {escaped(line)}")
    return out
