"""One window anew: those before it stay bit for bit, those behind it follow, and nothing else can change."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.jobs.small_job import finish, sampled_windows, small_job
from vp_jax.errors import UserError
from vp_jax.jobs.events import Note
from vp_jax.jobs.job import Redo
from vp_jax.jobs.manifest import Manifest
from vp_jax.jobs.outputs import job_folder
from vp_jax.jobs.redo import arguments_of, redo_job


def windows_of(job):
    """Latents of the kept windows. Files of equal content may have their notes in another order."""
    return [load_file(path)["latents"].tobytes() for path in sorted(job_folder(job.out).glob("window_*"))]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A finished job of three windows, and its result."""
    job = small_job(tmp_path_factory.mktemp("kept"))
    return job, finish(job)[0], windows_of(job)


@pytest.mark.slow
def test_the_window_and_its_dependants_are_sampled_and_a_redo_back_gives_the_first_result(kept):
    job, first, windows = kept
    redone = redo_job(job.out, Redo(2, seed=7))
    assert dataclasses.replace(redone, redo=None) == dataclasses.replace(job, loras=())
    changed, events = finish(redone)
    assert sampled_windows(events) == ["window 2/3", "window 3/3"]
    assert windows_of(job)[0] == windows[0] and not set(windows_of(job)[1:]) & set(windows[1:])
    assert (changed != first).any()
    manifest = Manifest.read(job_folder(job.out))
    assert [window.seed for window in manifest.windows] == [42, 7, 42] and manifest.finished
    again, events = finish(redo_job(job.out, Redo(2, seed=7)))
    assert sampled_windows(events) == [], "the same redo finds everything there"
    np.testing.assert_array_equal(again, changed)
    back, _ = finish(redo_job(job.out, Redo(2, seed=42)))
    np.testing.assert_array_equal(back, first)
    assert windows_of(job) == windows


@pytest.mark.slow
def test_it_is_what_a_run_with_these_seeds_would_be(kept, tmp_path):
    """Window 1 anew is another seed for the first window alone."""
    job, _, windows = kept
    last = redo_job(job.out, Redo(3, seed=9))
    finish(last)
    changed = windows_of(job)
    assert changed[:2] == windows[:2] and changed[2] != windows[2]
    finish(redo_job(job.out, Redo(3, seed=42)))
    assert windows_of(job) == windows


@pytest.mark.slow
def test_a_redo_stays_within_its_shot(tmp_path):
    job = small_job(tmp_path, cuts="6")
    _, events = finish(job)
    assert [event.text[:26] for event in events if isinstance(event, Note) and event.topic == "cuts"] == [
        "a shot begins at frame 6: n"[:26]
    ]
    windows, record = windows_of(job), json.loads((tmp_path / "out.json").read_text())
    assert record["cuts"] == [6] and record["windows"] == [0, 4, 6, 10]
    assert [seam["frame"] for seam in record["continuity"]["seams"]] == [4, 10]
    _, events = finish(redo_job(job.out, Redo(1, seed=7)))
    assert sampled_windows(events) == ["window 1/4", "window 2/4"]
    changed = windows_of(job)
    assert changed[2:] == windows[2:] and not set(changed[:2]) & set(windows[:2])


@pytest.mark.slow
def test_with_a_clip_weight_lost_states_are_sampled_again_and_kept_ones_are_not(tmp_path):
    for keep, sampled in ((None, ["window 1/3", "window 2/3", "window 3/3"]), (True, ["window 3/3"])):
        folder = tmp_path / str(keep)
        folder.mkdir()
        job = small_job(folder, settings={"steps": 1, "guidance": 3.0, "clip_weight": 0.5}, keep_job=keep)
        finish(job)
        windows = windows_of(job)
        _, events = finish(redo_job(job.out, Redo(3, seed=7)))
        assert sampled_windows(events) == sampled
        assert windows_of(job)[:2] == windows[:2] and windows_of(job)[2] != windows[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "redo, changes, message",
    [
        (Redo(4, seed=1), {}, r"redo_window 4: .*out.job has windows 1 to 3"),
        (Redo(0, seed=1), {}, r"redo_window 0: .*out.job has windows 1 to 3"),
        (Redo(1), {}, "redo_window 1: give it another `seed` or `prompt`"),
        (Redo(1, seed=-1), {}, "seed -1: expected 0 to"),
        (Redo(1, seed=1), {"settings": {"steps": 3}}, "steps 3 here, 2 in .*: a redo changes the seed and the prompt"),
        (Redo(1, seed=1), {"mask_dilate": 3}, "the holes differ: a redo changes the seed and the prompt"),
        (Redo(1, prompt="a fox"), {}, "no text encoder"),
    ],
)
def test_what_a_redo_cannot_change_is_one_line(kept, redo, changes, message):
    job, _, windows = kept
    with pytest.raises(UserError, match=message) as caught:
        finish(redo_job(job.out, redo, changes))
    assert "\n" not in str(caught.value) and windows_of(job) == windows


def test_nothing_kept_is_named(tmp_path):
    with pytest.raises(UserError, match=r"redo_window: there is no .*x.job with the windows of an earlier run"):
        redo_job(tmp_path / "x.mkv", Redo(1, seed=1))


def test_arguments_have_complete_paths(tmp_path, monkeypatch):
    small_job(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {"video": "video", "mask": "mask.png", "out": "out.mkv", "prompt_embeds": "embeds.npz"}
    job = small_job(tmp_path, **{name: tmp_path.__class__(value) for name, value in names.items()})
    values = arguments_of(job)
    assert {name: values[name] for name in names} == {name: str(tmp_path / value) for name, value in names.items()}
    assert values["fresh"] is False and "redo" not in values and values["settings"] == {"steps": 2, "guidance": 3.0}


@pytest.mark.parametrize("change", [{"mask_dilatation": 3}, {"loras": [1]}, {"settings": None}, {"video": 5}])
def test_a_job_that_another_version_kept_is_refused_in_one_line(kept, tmp_path, change):
    job, *_ = kept
    stored = Manifest.read(job_folder(job.out))
    (tmp_path / "out.job").mkdir()
    arguments = {**stored.notes["arguments"], **change}
    dataclasses.replace(stored, notes={"arguments": arguments}).write(tmp_path / "out.job")
    with pytest.raises(UserError, match=r"manifest.json was written by another version .*: run the job again") as error:
        redo_job(tmp_path / "out.mkv", Redo(2, seed=7))
    assert "\n" not in str(error.value)
