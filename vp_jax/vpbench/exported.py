"""The clips of a benchmark as folders for other programs, so that every method reads the same pixels.

OUT/prompts.csv              clip, prompt, target, task, frames, height, width, fps
OUT/frames/<clip>/00000.png  the source
OUT/masks/<clip>/00000.png   white = to be generated
OUT/videos/<clip>.mkv        the source once more, lossless, with its rate
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.media.frames import again
from vp_jax.media.masks import white_on_black
from vp_jax.media.video_writer import write_video
from vp_jax.vpbench.benchmarks import Benchmark


def write_inputs(benchmark: Benchmark, out: Path) -> Iterator[tuple[str, str]]:
    """Write every clip; yields its name and what is wrong with it, "" if nothing. Bad clips are left out.

    Raises:
      UserError: the folder cannot be written.
    """
    lines: list[tuple[object, ...]] = [("clip", "prompt", "target", "task", "frames", "height", "width", "fps")]
    for clip in benchmark.clips:
        try:
            inputs = clip.open()
        except UserError as error:
            yield clip.name, str(error)
            continue
        write_video(out / "frames" / clip.file, again(inputs.frames_FHWC), inputs.fps)
        white = map(white_on_black, again(inputs.holes_FHW))
        write_video(out / "masks" / clip.file, white, inputs.fps)
        write_video(out / "videos" / f"{clip.file}.mkv", again(inputs.frames_FHWC), inputs.fps)
        count, height, width = inputs.frames_FHWC.shape[:3]
        lines.append((clip.file, clip.prompt, clip.target, clip.task, count, height, width, float(inputs.fps)))
        yield clip.name, ""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    write_text(out / "prompts.csv", text.getvalue())
