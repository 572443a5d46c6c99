"""One run at a time per output, and nothing of the user's is touched."""

import multiprocessing
from pathlib import Path

import pytest

from vp_jax.errors import UserError
from vp_jax.jobs import claim
from vp_jax.jobs.outputs import job_folder


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_the_folder_is_there_while_a_run_is_at_work_and_gone_after_it(tmp_path):
    with claim.claimed(tmp_path / "new" / "deep" / "out.mp4") as folder:
        assert folder == tmp_path / "new" / "deep" / "out.job" and contents(folder) == ["lock"]
    assert list(tmp_path.iterdir()) == [], "folders that were created for nothing go too"


def test_job_folder_work_stays_and_is_found_again(tmp_path):
    with pytest.raises(RuntimeError), claim.claimed(tmp_path / "out.mp4") as folder:
        (folder / "window_0000.safetensors").write_text("work")
        raise RuntimeError
    with claim.claimed(tmp_path / "out.mp4") as folder:
        assert contents(folder) == ["lock", "window_0000.safetensors"]
        claim.clear(folder)
    assert contents(tmp_path) == []


def test_a_run_that_was_killed_before_it_had_its_lock_blocks_no_other(tmp_path):
    job_folder(tmp_path / "out.mp4").mkdir()
    with claim.claimed(tmp_path / "out.mp4") as folder:
        assert contents(folder) == ["lock"]
    assert not folder.exists()


def test_only_what_runs_write_is_removed(tmp_path):
    with claim.claimed(tmp_path / "out.mp4") as folder:
        for name in (
            "window_0000.safetensors",
            "states_0001.safetensors",
            "step.safetensors",
            "manifest.json",
            "input.mp4",
        ):
            (folder / name).write_text("x")
        (folder / "window_0002.safetensors").mkdir()
        claim.clear(folder)
        assert contents(folder) == ["input.mp4", "lock"]
    assert (folder / "input.mp4").read_text() == "x" and (folder / "window_0002.safetensors").is_dir()


@pytest.mark.parametrize("kind", ["folder", "file", "link", "linked mark", "other lock"])
def test_a_folder_that_no_run_made_is_refused_and_left_alone(tmp_path, kind):
    precious, taken = tmp_path / "precious", job_folder(tmp_path / "out.mp4")
    precious.mkdir()
    (precious / "lock").write_text("mine")
    if kind == "folder":
        taken.mkdir()
        (taken / "manifest.json").write_text("mine")
    elif kind == "file":
        taken.write_text("mine")
    elif kind == "link":
        taken.symlink_to(precious)
    elif kind == "other lock":
        taken.mkdir()
        (taken / "lock").write_text("mine")
    else:
        taken.mkdir()
        (taken / "lock").symlink_to(precious / "lock")
    before = contents(tmp_path)
    with pytest.raises(UserError, match="no run made it"), claim.claimed(tmp_path / "out.mp4"):
        pass
    assert contents(tmp_path) == before and (precious / "lock").read_text() == "mine"


def hold(out: Path, ready: multiprocessing.Event, stop: multiprocessing.Event) -> None:
    with claim.claimed(out):
        ready.set()
        stop.wait(60)


@pytest.mark.parametrize("second", ["out.mp4", "out.mkv"])
def test_a_second_run_is_refused_while_the_first_is_at_work(tmp_path, second):
    """The record and the pictures of both would have the same names."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "out.mp4", ready, stop))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(UserError, match="another run is writing"), claim.claimed(tmp_path / second):
            pass
        assert (job_folder(tmp_path / "out.mp4") / "lock").exists(), "the first run keeps its claim"
    finally:
        stop.set()
        other.join(60)
    with claim.claimed(tmp_path / second):
        pass
