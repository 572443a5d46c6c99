"""What the server knows: kept on disk before anybody hears of it, found again after a restart."""

import json

import pytest

from tests.serve.drawn import GONE, JOB, finished_job
from vp_jax.errors import UserError
from vp_jax.serve import desk as desk_module
from vp_jax.serve.desk import Conflict, Desk, NotFound, ServerOptions
from vp_jax.serve.schemas import JobRequest, Marks, RedoRequest
from vp_jax.serve.workers import TaskLine

BOX = Marks.model_validate({"boxes": [{"x": 1, "y": 1, "width": 9, "height": 9}]})


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A desk whose workers never begin."""
    monkeypatch.setattr(TaskLine, "start", lambda line: None)
    monkeypatch.setattr(TaskLine, "cancel", cancel_waiting)
    desk = Desk(ServerOptions(tmp_path))
    desk.open()
    return desk


def cancel_waiting(line, name):
    for task in [task for task in line._waiting if task.name == name]:
        line._waiting.remove(task)
        task.end("cancelled", None)
        return True
    return False


def again(desk):
    """Another server on the same folder."""
    desk = Desk(desk.options)
    desk.open()
    return desk


def ready_video(desk):
    name, folder = desk.new_folder("video")
    for file in ("video", "frames.shelf", "frames.index"):
        (folder / file).write_bytes(b"")
    desk.add_video(name, "a film.mp4", 5)
    do(desk.media, {"state": "ready", "frames": 6, "width": 64, "height": 48})
    return name


def ready_mask(desk, video):
    name = desk.add_mask(video, BOX).id
    (desk.options.folder / "masks" / name / "mask.mkv").write_bytes(b"first")
    do(desk.media, {"state": "ready", "tracked": 6})
    return name


def do(line, *reports, end="done", why=None):
    """The next task of a line, as its worker would report it; what the worker is given."""
    task = line._waiting.popleft()
    message = task.message()
    for report in reports:
        task.report(report)
    task.end(end, why)
    return message


def test_a_restarted_server_has_everything_and_goes_on_in_the_old_order(desk):
    video = ready_video(desk)
    mask = ready_mask(desk, video)
    request = JobRequest(video=video, mask=mask, prompt="a disc")
    jobs = [desk.add_job(request).id for _ in range(3)]
    running = desk.device._waiting.popleft()
    running.report({"state": "running", "done": 3})  # and then the server is killed
    second = again(desk)
    assert [state.state for state in second.jobs.values()] == ["waiting"] * 3
    assert [task.name for task in second.device._waiting] == jobs
    assert second.videos == desk.videos and second.masks == desk.masks and second.media.waiting == 0
    message = do(second.device, {"state": "done", "version": 1})
    assert message["kind"] == "run" and message["state"]["request"] == request.model_dump()
    assert again(second).job(jobs[0]).state == "done" and again(second).device.waiting == 2


def test_an_upload_that_was_cut_off_goes_and_foreign_files_stay(desk):
    _, folder = desk.new_folder("video")
    (folder / "video").write_bytes(b"half")
    foreign = desk.options.folder / "videos" / "mine"
    foreign.mkdir()
    name, damaged = desk.new_folder("job")
    (damaged / "state.json").write_text("{")
    second = again(desk)
    assert not folder.exists() and foreign.exists() and damaged.exists() and second.jobs == second.videos == {}


def test_a_job_keeps_the_mask_it_was_given(desk):
    video = ready_video(desk)
    mask = ready_mask(desk, video)
    job = desk.add_job(JobRequest(video=video, mask=mask, prompt="a disc"))
    kept = desk.folder_of(job) / "mask.mkv"
    desk.change_marks(mask, BOX)
    file = desk.folder_of(desk.mask(mask)) / "mask.mkv"
    file.unlink()
    file.write_bytes(b"second")
    desk.remove(desk.video(video))
    assert kept.read_bytes() == b"first" and not file.exists() and desk.masks == {} and job.id in desk.jobs


def test_marks_of_a_mask_at_work_are_changed_and_the_old_task_is_not_heard(desk):
    video = ready_video(desk)
    mask = desk.add_mask(video, BOX)
    old = desk.media._waiting[0]
    changed = desk.change_marks(mask.id, Marks.model_validate({"points": [{"x": 4, "y": 4}]}))
    old.report({"state": "ready"})
    assert desk.mask(mask.id).state == "waiting" and changed.version == 2 and desk.media.waiting == 1
    assert do(desk.media)["marks"]["points"][0]["x"] == 4


def test_what_cannot_be_done_is_said(desk):
    video = ready_video(desk)
    mask = ready_mask(desk, video)
    with pytest.raises(NotFound, match="no mask of this id"):
        desk.add_job(JobRequest(video=video, mask=GONE, prompt="x"))
    with pytest.raises(UserError, match="nothing is marked"):
        desk.add_mask(video, Marks.model_validate({"points": [{"x": 1, "y": 1, "inside": False}]}))
    other = ready_video(desk)
    with pytest.raises(UserError, match="the mask is of another video"):
        desk.add_job(JobRequest(video=other, mask=mask, prompt="x"))
    desk.change_marks(mask, BOX)
    with pytest.raises(Conflict, match="the mask is waiting"):
        desk.add_job(JobRequest(video=video, mask=mask, prompt="x"))
    desk.cancel(desk.mask(mask))
    assert desk.mask(mask).state == "cancelled"
    with pytest.raises(Conflict, match="nothing is at work"):
        desk.cancel(desk.mask(mask))
    assert desk.folder_of(desk.video(video)).parent.name == "videos" and len(desk.jobs) == 0
    assert list((desk.options.folder / "jobs").iterdir()) == []


def test_a_full_line_takes_no_more(desk, monkeypatch):
    monkeypatch.setattr(desk_module, "MOST_WAITING", 1)
    video = ready_video(desk)
    desk.add_mask(video, BOX)
    with pytest.raises(Conflict, match="1 tasks wait already"):
        desk.add_mask(video, BOX)


def test_a_job_is_resumed_after_a_failure_and_not_before(desk):
    video = ready_video(desk)
    job = desk.add_job(JobRequest(video=video, mask=ready_mask(desk, video), prompt="x"))
    with pytest.raises(Conflict, match="only a cancelled or failed one"):
        desk.resume(job.id)
    with pytest.raises(Conflict, match="cancel it first"):
        desk.remove(job)
    do(desk.device, {"state": "running"}, end="failed", why="out of device memory")
    assert (desk.job(job.id).state, desk.job(job.id).error) == ("failed", "out of device memory")
    assert desk.resume(job.id).state == "waiting" and desk.job(job.id).error is None and desk.device.waiting == 1


def test_a_redo_that_comes_to_nothing_leaves_the_result(tmp_path, film, monkeypatch):
    monkeypatch.setattr(TaskLine, "start", lambda line: None)
    finished_job(tmp_path, film)
    desk = Desk(ServerOptions(tmp_path))
    desk.open()
    for redo, fault in (
        (RedoRequest(window=3, seed=1), "windows 1 to 2"),
        (RedoRequest(window=1), "nothing would change"),
    ):
        with pytest.raises(UserError, match=fault):
            desk.redo(JOB, redo)
    assert desk.redo(JOB, RedoRequest(window=2, seed=7)).state == "waiting"
    with pytest.raises(Conflict, match="not finished"):
        desk.redo(JOB, RedoRequest(window=1, seed=7))
    second = again(desk)
    message = do(second.device, {"state": "running"}, end="failed", why="full disk")
    assert message["state"]["redo"] == {"window": 2, "seed": 7, "prompt": None}
    found = second.job(JOB)
    assert (found.state, found.version, found.redo, found.error) == ("done", 1, None, "redo: full disk")
    assert json.loads((tmp_path / "jobs" / JOB / "state.json").read_text())["state"] == "done"


def test_metrics_count_jobs_and_steps(desk):
    video = ready_video(desk)
    desk.add_job(JobRequest(video=video, mask=ready_mask(desk, video), prompt="x"))
    do(desk.device, {"done": 1}, {"done": 2}, {"done": 2}, {"state": "done", "seconds": 2.5})
    text = desk.metrics()
    for line in (
        "vp_jax_steps_total 2",
        'vp_jax_jobs_finished_total{end="done"} 1',
        'vp_jax_jobs{state="done"} 1',
        "vp_jax_job_seconds_total 2.5",
        "vp_jax_upload_bytes_total 5",
    ):
        assert line in text.splitlines()
