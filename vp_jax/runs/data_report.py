"""What a run is about to learn from, before its first step: sizes, holes and captions of some clips, and a picture.

    RUN/data_report.json     numbers of the clips that were looked at
    RUN/data_report.png      each of them as a row, with its hole as the model gets it

Of a folder or table it also has what its scan left out, and why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vp_jax.data.clips import Example, Resize
from vp_jax.data.contact_sheet import clip_sheet
from vp_jax.data.pipeline import LoaderConfig, pixel_transforms
from vp_jax.data.records import BadRecord, Source
from vp_jax.files import write_atomically, write_text

REPORT, PICTURE = "data_report.json", "data_report.png"
LOOKED_AT, SHOWN = 16, 8
"""Clips that are read for the numbers, and rows of the picture."""


class ClipLook(NamedTuple):
    """A clip: length and rate of its file, size of its frames, share of the hole as training has it, its caption.

    ``error`` is why it cannot be used, and empty otherwise; the numbers are 0 then.
    """

    id: str
    frames: int = 0
    fps: float = 0.0
    height: int = 0
    width: int = 0
    hole: float = 0.0
    words: int = 0
    unread: str = ""
    error: str = ""


def report_on_data(
    folder: Path, source: Source, cfg: LoaderConfig, tokenizer: Callable[[str], np.ndarray] | None = None
) -> str:
    """Look at some clips, evenly spread over the source, and write both files; returns a line about them.

    Args:
      folder: of the run.
      source: clips.
      cfg: of the run's loader.
      tokenizer: of captions; one with a method ``unused`` says what the model does not read.
    """
    numbers = np.unique(np.linspace(0, len(source) - 1, min(LOOKED_AT, len(source))).round().astype(int))
    looks: list[ClipLook] = []
    rows: list[tuple[str, np.ndarray, np.ndarray]] = []
    for number in numbers:
        look, example = look_at(source, int(number), cfg, tokenizer)
        looks.append(look)
        if example is not None and len(rows) < SHOWN:
            rows.append((f"{look.id[:60]}   {example['caption'][:60]}", example["pixels"], example["masks"]))
    values: dict[str, Any] = {"clips": len(source), "scan": None, "looked_at": [look._asdict() for look in looks]}
    if (scan := getattr(source, "report", None)) is not None:
        values["scan"] = {"summary": scan.summary, "left_out": [found._asdict() for found in scan.left_out]}
    line = report_line(looks, len(source))
    write_text(folder / REPORT, json.dumps({**values, "summary": line}, indent=1, ensure_ascii=False) + "\n")
    if rows:
        write_atomically(folder / PICTURE, clip_sheet(rows).save)
    return f"{line}; {folder / REPORT}" + (f", {folder / PICTURE}" if rows else "")


def look_at(
    source: Source, number: int, cfg: LoaderConfig, tokenizer: Callable[[str], np.ndarray] | None
) -> tuple[ClipLook, Example | None]:
    """Clip ``number`` and the example that the loader would make of a window of it, ``None`` if it cannot be used."""
    name = f"clip {number}"
    try:
        clip = source[number]
        name, info = clip.id, clip.open()
        example: Example = {"clip": clip}
        size = (0, 0)
        for step in pixel_transforms(cfg):
            if isinstance(step, Resize):
                size = example["pixels"].shape[1:3]
            example = step(example, np.random.default_rng([cfg.seed, number]))
    except BadRecord as error:
        return ClipLook(name, error=str(error)), None
    unused = getattr(tokenizer, "unused", None)
    return (
        ClipLook(
            name,
            info.frames,
            float(info.fps),
            int(size[0]),
            int(size[1]),
            float(np.mean(example["masks"])),
            len(clip.caption.split()),
            unused(clip.caption) if unused else "",
        ),
        example,
    )


def report_line(looks: Sequence[ClipLook], clips: int) -> str:
    """Ranges of the clips that were looked at, in one line."""
    good, bad = [look for look in looks if not look.error], sum(bool(look.error) for look in looks)
    parts = [f"{len(looks)} of {clips} clips looked at"]
    if good:
        holes = [look.hole for look in good]
        sizes = sorted({(look.height, look.width) for look in good})
        more = f" to {sizes[-1][0]} x {sizes[-1][1]}" if len(sizes) > 1 else ""
        parts += [
            f"{_range([look.frames for look in good])} frames of {sizes[0][0]} x {sizes[0][1]}{more}",
            f"{_range([round(look.fps, 2) for look in good])} fps",
            f"holes {min(holes):.1%} to {max(holes):.1%}, median {float(np.median(holes)):.1%}",
            f"captions of {_range([look.words for look in good])} words",
        ]
        if cut := sum(bool(look.unread) for look in good):
            parts.append(f"{cut} captions not read completely")
        if empty := sum(look.hole == 0 for look in good):
            parts.append(f"{empty} without a hole")
    if bad:
        parts.append(f"{bad} cannot be used")
    return ", ".join(parts)


def _range(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
