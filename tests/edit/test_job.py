"""A plan as a job, and the job's own model as a painter."""

import json

import numpy as np
import pytest

from vp_jax.edit.job import edit_job, sampled_by
from vp_jax.edit.plan import EditPlan
from vp_jax.edit.wanted import Wanted
from vp_jax.edit.world import packaged_clip, world_masks, write_world_video
from vp_jax.jobs.job import Job
from vp_jax.jobs.loading import ModelCache
from vp_jax.jobs.redo import arguments_of
from vp_jax.media.video_writer import write_video

SIZE = (64, 96)


@pytest.fixture
def base(tmp_path):
    clip, video = packaged_clip(), tmp_path / "in.mkv"
    write_world_video(clip, video)
    grey_FHWC = np.repeat(world_masks(clip, "square")[..., None] * np.uint8(255), 3, axis=3)
    write_video(tmp_path / "mask.mkv", grey_FHWC, 8)
    return Job(video=video, mask=tmp_path / "mask.mkv", out=tmp_path / "out.mkv", prompt="-", settings={"steps": 1})


def test_a_swap_fills_with_its_caption_and_records_its_plan(base):
    plan = EditPlan(operation="swap", caption="a star", negative_prompt="square", instruction="make it a star")
    job = edit_job(base, plan, base.mask, (480, 720), None)
    assert (job.task, job.prompt, job.negative_prompt, job.mask_dilate) == ("fill", "a star", "square", 15)
    assert json.loads(json.dumps(arguments_of(job)))["edit"]["instruction"] == "make it a star"


def test_a_removal_is_the_removal_of_jobs(base):
    job = edit_job(base, EditPlan(operation="remove", target="the square"), base.mask, SIZE, None)
    usual = Job(video=base.video, mask=base.mask, out=base.out, task="remove")
    assert (job.task, job.prompt, job.negative_prompt) == ("remove", usual.prompt, usual.negative_prompt)


@pytest.mark.slow
def test_the_jobs_own_model_paints_a_first_frame(base):
    job = edit_job(base, EditPlan(operation="swap", caption="a red star"), base.mask, SIZE, None)
    frame_HWC = packaged_clip().read(np.arange(1))[0][0]
    hole_HW = world_masks(packaged_clip(), "square")[0]
    (painted_HWC,) = sampled_by(job, ModelCache())(Wanted(frame_HWC, hole_HW, "a red star", ""), [3])
    assert painted_HWC.shape == (*SIZE, 3) and (painted_HWC[hole_HW] != frame_HWC[hole_HW]).any()
    assert not list(base.out.parent.glob("out*"))
