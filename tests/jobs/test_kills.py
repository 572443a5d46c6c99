"""What a crash, a full disk, a second run or changed files do: identical bytes at the end, or one line."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.jobs.small_job import finish, sampled_windows, small_job
from vp_jax.errors import UserError
from vp_jax.jobs.outputs import job_folder

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("VP_KILLS", "6"))
PROGRAM = """
import os, signal, sys, threading
from vp_jax.inference.pipeline import Pipeline
from vp_jax.jobs import store
store.EVERY, wait, load = 0.0, float(sys.argv.pop(1)), Pipeline.load
def timed(*args, **options):
    if wait:
        timer = threading.Timer(wait, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    return load(*args, **options)
Pipeline.load = timed
from vp_jax.cli.main import main
main("sample")
"""
"""Every step is kept; the first argument are the seconds after which the program is killed, 0 for none."""


@pytest.fixture
def command(tmp_path, programs, monkeypatch):
    """Nano on three windows, every step kept."""
    monkeypatch.chdir(tmp_path)
    clip_files.folder(Path("video"), clip_files.moving(40, 64, 96))
    Image.fromarray((np.indices((64, 96))[0] > 40).astype(np.uint8) * 255).save("mask.png")
    flags = ["--video", "video", "--mask", "mask.png", "--prompt", "a ring", "--steps", "6", "--out"]
    return ["--compilation_cache", str(programs), *flags]


def start(command, out, *, wait=0.0, number=0):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("XLA_FLAGS", None)
    arguments = [sys.executable, "-c", PROGRAM, str(wait), *command, out]
    with open(f"said_{number}.txt", "w") as said:
        return subprocess.Popen(arguments, env=environment, stdout=said, stderr=subprocess.STDOUT)


def said(number=0) -> str:
    return Path(f"said_{number}.txt").read_text()


def users_files(folder: Path) -> dict[str, bytes]:
    """A user's files under names that are like those of a run."""
    names = ("out.job.old", "out.jobs", ".out.job", "window_0000.safetensors", "manifest.json", "lock", "out.csv")
    for name in names:
        (folder / name).write_text(f"precious {name}")
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.slow
def test_twenty_kills_at_random_moments_end_in_identical_bytes(command, tmp_path):
    for _ in range(2):  # the second time everything is compiled
        assert start(command, "want.mkv").wait(600) == 0, said()[-2000:]
        shutil.rmtree("want.job")
    seconds = json.loads(Path("want.json").read_text())["seconds"]
    lasts = sum(seconds.values()) - seconds["read"]
    precious, draw, killed = users_files(tmp_path), random.Random(0), 0
    while killed < KILLS:
        status = start(command, "out.mkv", wait=draw.uniform(0.0, 1.0) * lasts).wait(600)
        assert status in (0, -signal.SIGKILL), said()[-2000:]
        killed += status != 0
        if status == 0:  # from the beginning again
            assert Path("out.mkv").read_bytes() == Path("want.mkv").read_bytes()
            shutil.rmtree("out.job")
            Path("out.mkv").unlink()
    last = start(command, "out.mkv")
    assert last.wait(600) == 0, said()[-2000:]
    assert Path("out.mkv").read_bytes() == Path("want.mkv").read_bytes()
    assert Path("out_contact.png").read_bytes() == Path("want_contact.png").read_bytes()
    assert {name: (tmp_path / name).read_bytes() for name in precious} == precious
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".vp_jax-")], "nothing of ours is left"


@pytest.mark.slow
def test_of_two_runs_at_once_one_is_refused_in_one_line(command):
    runs = [start(command, "out.mkv", number=number) for number in range(2)]
    status = [run.wait(600) for run in runs]
    assert sorted(status) == [0, 2], (said(0)[-2000:], said(1)[-2000:])
    refused = said(status.index(2))
    assert "error: another run is writing out.mkv: wait until it ends" in refused and "Traceback" not in refused


@pytest.mark.slow
@pytest.mark.parametrize("write", [1, 2, 4, 5, 7])
def test_a_full_disk_is_one_line_and_the_next_run_ends_in_identical_bytes(tmp_path, monkeypatch, write):
    """The first writes are the manifest, three windows, then the results."""
    want, _ = finish(small_job(tmp_path, out=tmp_path / "want.mkv"))
    precious, count, replace = users_files(tmp_path), 0, os.replace

    def full(*paths):
        nonlocal count
        count += 1
        if count >= write:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(*paths)

    with (
        monkeypatch.context() as patch,
        pytest.raises(UserError, match=r"cannot be written .No space left on device.$"),
    ):
        patch.setattr(os, "replace", full)
        finish(small_job(tmp_path))
    assert count >= write
    got, events = finish(small_job(tmp_path))
    kept = min(max(0, write - 2), 3)
    assert sampled_windows(events) == [f"window {k}/3" for k in range(kept + 1, 4)]
    np.testing.assert_array_equal(got, want)
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "want.mkv").read_bytes()
    assert {name: (tmp_path / name).read_bytes() for name in precious} == precious


def test_a_user_s_folder_in_the_place_of_the_job_s_is_refused_and_left_alone(tmp_path):
    folder = job_folder(small_job(tmp_path).out)
    folder.mkdir()
    (folder / "window_0000.safetensors").write_text("precious")
    with pytest.raises(UserError, match=r"out.job stands where windows are kept, and no run made it: move it"):
        small_job(tmp_path)
    assert (folder / "window_0000.safetensors").read_text() == "precious"
