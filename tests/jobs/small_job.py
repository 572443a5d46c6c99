"""A job on the tiny models: three windows, embeddings in place of words."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests import clip_files
from tests.tiny import save_tiny, tiny_pipeline
from vp_jax.inference.plan import Position
from vp_jax.jobs.events import JobEvent
from vp_jax.jobs.job import Job
from vp_jax.jobs.run import run
from vp_jax.media.video import read_video


def small_job(folder: Path, **changes) -> Job:
    """Files in ``folder``, written where they are missing, and a job on them."""
    if not (folder / "weights").exists():
        save_tiny(folder / "weights", tiny_pipeline())
        clip_files.folder(folder / "video", clip_files.moving(13, 32, 32))
        hole_HW = np.zeros((32, 32), np.uint8)
        hole_HW[8:20, 4:16] = 255
        Image.fromarray(hole_HW).save(folder / "mask.png")
        embeds = np.random.default_rng(0).standard_normal((2, 1, 3, 6)).astype(np.float32)
        np.savez(folder / "embeds.npz", prompt_embeds=embeds[0], negative_prompt_embeds=embeds[1])
    return Job(**{
        "checkpoint": folder / "weights", "video": folder / "video", "mask": folder / "mask.png",
        "out": folder / "out.mkv", "prompt_embeds": folder / "embeds.npz", "precision": "float32",
        "settings": {"steps": 2, "guidance": 3.0}, **changes,
    })  # fmt: skip


def finish(job: Job, **options) -> tuple[np.ndarray, list[JobEvent]]:
    """Run a job to its end; frames of the result and what was reported."""
    events = list(run(job, **options))
    return read_video(job.out)[0], events


def sampled_windows(events: list[JobEvent]) -> list[str]:
    """Labels of the windows that were sampled, in their order."""
    labels = [event.label for event in events if isinstance(event, Position)]
    return list(dict.fromkeys(label for label in labels if label.startswith("window") and "continued" not in label))
