"""A plan as a job of `vp_jax.jobs`, and the job's own model as a painter of first frames."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vp_jax.edit.plan import EditPlan
from vp_jax.edit.wanted import Painter, Wanted
from vp_jax.jobs.events import JobEvent
from vp_jax.jobs.job import Job
from vp_jax.jobs.loading import ModelCache
from vp_jax.jobs.run import run
from vp_jax.media.images import read_image


def edit_job(base: Job, plan: EditPlan, mask: Path, size: tuple[int, int], first_frame: str | None) -> Job:
    """The job of an edit.

    Args:
      base: video, result, model and settings.
      plan: what is done.
      mask: the file of `vp_jax.edit.masks.mask_file`.
      size: height and width of the source.
      first_frame: picture, ``original``, or ``None``.

    Raises:
      UserError: see `Job`.
    """
    return dataclasses.replace(
        base,
        mask=mask,
        task=plan.task,
        prompt=plan.caption,
        negative_prompt=plan.negative_prompt,
        mask_dilate=plan.growth(size),
        first_frame=first_frame,
        edit=plan.values,
    )


def sampled_by(job: Job, loader: ModelCache, note: Callable[[JobEvent], object] = lambda event: None) -> Painter:
    """The painter ``t2v``: the job's own model and prompts on the first frame alone, a window of one frame.

    Args:
      job: of the edit; its first frame is what is painted.
      loader: keeps the model for the job itself.
      note: is given what the runs report.
    """

    def paint_all(wanted: Wanted, seeds: Sequence[int]) -> Iterator[np.ndarray]:
        with tempfile.TemporaryDirectory() as folder:
            for seed in seeds:
                out = Path(folder) / f"{seed}"
                settings = {**job.settings, "seed": seed, "window": 1, "overlap": 0}
                alone = dataclasses.replace(
                    job,
                    out=out,
                    report=None,
                    stop=job.start + 1,
                    first_frame=None,
                    mask_fit="cut" if job.mask_fit is None else job.mask_fit,
                    keep_job=False,
                    settings=settings,
                )
                with contextlib.closing(run(alone, loader)) as events:
                    for event in events:
                        note(event)
                yield read_image(next(iter(sorted(out.glob("*.png")))))

    return paint_all
