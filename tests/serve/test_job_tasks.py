"""Jobs in the worker: what a request becomes, what is reported, what is left; the model paints one colour."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.painter import PAINT, painter  # noqa: F401
from tests.serve.drawn import GONE, JOB, picture
from vp_jax.errors import UserError
from vp_jax.jobs.loading import ModelCache
from vp_jax.serve.job_tasks import _Pace, job_for, plain, run_task
from vp_jax.serve.schemas import JobRequest, JobState, RedoRequest
from vp_jax.serve.shelf import read_shelf, shelf_length


@pytest.fixture
def folder(tmp_path, film):
    """The folder of a job, and a checkpoint that is never read."""
    place = tmp_path / JOB
    place.mkdir()
    (tmp_path / "weights").mkdir()
    shutil.copy(film, place / "video")
    (place / "mask.mkv").write_bytes(picture())
    return place


def state(**request) -> JobState:
    return JobState(id=JOB, made=1.0, request=JobRequest(video=GONE, mask=GONE, **request))


def run(folder, job):
    """A state after a task, and what was reported."""
    reports = list(run_task(folder, job, folder.parent / "weights", ModelCache()))
    for report in reports:
        job = JobState.model_validate({**dict(job), **report})
    return job, reports


def test_a_request_becomes_a_job(folder):
    request = JobRequest(
        video=GONE, mask=GONE, task="remove", steps=4, seed=7, mask_dilate=3, feather=2, fit="crop", format="mkv"
    )
    job = job_for(request, "nano", folder / "video", folder / "mask.mkv", folder)
    assert job.settings == {"steps": 4, "seed": 7} and job.keep_job and job.out == folder / "result.mkv"
    assert (job.task, job.mask_dilate, job.feather, job.fit, job.first_frame) == ("remove", 3, 2, "crop", None)
    assert job.prompt == "an empty background" and job.report == folder / "report.html"
    kept = JobRequest(video=GONE, mask=GONE, prompt="x", first_frame="original")
    assert job_for(kept, "nano", folder / "video", folder / "mask.mkv", folder).first_frame == "original"


def test_a_job_reports_its_way_and_leaves_its_result(folder, painter):  # noqa: F811
    job, reports = run(folder, state(prompt="a disc", steps=3, format="mkv"))
    assert (job.state, job.version, job.frames, job.width, job.height) == ("done", 1, 6, 64, 48)
    assert [w.first for w in job.windows] == [0] and (job.done, job.total, job.arrived) == (3, 3, 6)
    labels = list(dict.fromkeys(report["label"] for report in reports if "label" in report))
    assert labels[:3] == ["reading", "loading", "compiling"] and labels[-1] == ""
    assert shelf_length(folder / "frames") == shelf_length(folder / "arriving") == 6
    result_HWC = np.asarray(Image.open(io.BytesIO(read_shelf(folder / "frames", 2)))).astype(int)
    assert np.abs(result_HWC[20:32, 12:24] - PAINT).mean() < 12 and np.abs(result_HWC[:, 40:] - PAINT).mean() > 60
    assert {"result.mkv", "result.json", "result_contact.png", "report.html", "result.job"} <= {
        path.name for path in folder.iterdir()
    }


def test_a_window_is_made_anew_and_the_version_grows(folder, painter):  # noqa: F811
    job, _ = run(folder, state(prompt="a disc", steps=2))
    job.redo = RedoRequest(window=1, seed=9, prompt="a square")
    job, _ = run(folder, job)
    assert (job.state, job.version, job.redo) == ("done", 2, None)
    assert painter.calls["prompt"][0] == "a square" or "a square" in painter.calls["prompt"]


def test_a_closed_task_keeps_its_steps_and_another_goes_on(folder, painter):  # noqa: F811
    task = run_task(folder, state(prompt="a disc", steps=4), folder.parent / "weights", ModelCache())
    for report in task:
        if report.get("done") == 2:
            task.close()
    assert (folder / "result.job" / "step.safetensors").exists()
    job, reports = run(folder, state(prompt="a disc", steps=4))
    assert job.state == "done" and next(r["done"] for r in reports if r.get("done")) == 2


def test_an_error_names_no_folder_of_the_server(folder):
    (folder / "video").write_bytes(b"no video")
    with pytest.raises(UserError) as error:
        run(folder, state(prompt="a disc"))
    assert str(folder) not in str(error.value)


def test_the_time_left_comes_from_steady_steps(monkeypatch):
    times = iter([0, 100, 101, 102, 103, 103.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    pace = _Pace()
    assert [pace.eta(done, 10) for done in (0, 1, 2, 3, 4, 4)] == [None, None, 8.0, 7.0, 6.0, 6.0]


def test_marks_of_arguments_are_not_shown_to_people():
    assert plain("`invert_mask` turns it round") == "invert mask turns it round"


def test_a_first_frame_is_filled_from_around_the_mask(folder, painter):  # noqa: F811
    job, _ = run(folder, state(prompt="a disc", steps=1, first_frame="fill"))
    assert job.state == "done"
    first_HWC = np.asarray(Image.open(folder / "result_first" / "1.png")).astype(int)
    assert np.abs(first_HWC[26, 18] - 120).max() < 40  # grey, where the red disc was
