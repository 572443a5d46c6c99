"""A drawn film, and a job as an earlier server leaves it."""

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from vp_jax.serve.schemas import JobRequest, JobState, WindowState
from vp_jax.serve.shelf import ShelfWriter

JOB = "an-earlier-job_1"
GONE = "no-such-object_1"


def disc_film(frames: int = 6) -> np.ndarray:
    """A red disc that moves to the right before grey, uint8 (F, 48, 64, 3)."""
    y, x = np.mgrid[:48, :64]
    out_FHWC = np.full((frames, 48, 64, 3), 120, np.uint8)
    for number, frame_HWC in enumerate(out_FHWC):
        frame_HWC[(y - 26) ** 2 + (x - 18 - 3 * number) ** 2 < 64] = (230, 40, 30)
    return out_FHWC


def picture(size=(64, 48), white=(8, 16, 28, 36)) -> bytes:
    """A PNG of a mask: a white rectangle."""
    image = Image.new("L", size)
    image.paste(255, white)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def finished_job(folder: Path, film: Path) -> str:
    """A finished job in the folder of a server that is not running; its id."""
    place = folder / "jobs" / JOB
    place.mkdir(parents=True)
    shutil.copy(film, place / "video")
    shutil.copy(film, place / "result.mp4")
    (place / "report.html").write_text("<!doctype html><title>report</title>")
    (place / "result.json").write_text("{}")
    for name in ("source", "frames"):
        with ShelfWriter(place / name) as shelf:
            shelf.add(0, b"jpeg")
    request = JobRequest(video=GONE, mask=GONE, prompt="a disc")
    windows = [WindowState(first=0, frames=5), WindowState(first=4, frames=2)]
    state = JobState(id=JOB, made=1.0, request=request, state="done", version=1, frames=6, windows=windows)
    state.seconds_per_step = 0.5
    (place / "state.json").write_text(state.model_dump_json())
    return JOB
