"""The manifest: keys change with what a window depends on, differences are named, damage is found."""

import dataclasses

import numpy as np
import pytest

from vp_jax.digests import Damaged
from vp_jax.errors import UserError
from vp_jax.jobs.manifest import MANIFEST, ChosenWindow, Manifest, content, fact_differences, refuse

WINDOWS = tuple(ChosenWindow(3, "a fox", "t") for _ in range(4))
JOB = Manifest({"steps": 5, "video": "abc"}, WINDOWS, notes={"arguments": {"out": "x"}})


@pytest.mark.parametrize("chained, changed", [(True, [2, 3]), (False, [2])])
def test_another_seed_or_text_changes_the_keys_of_its_window_and_its_dependants(chained, changed):
    job = dataclasses.replace(JOB, chained=chained)
    for other in (ChosenWindow(7, "a fox", "t"), ChosenWindow(3, "a cat", "u")):
        keys = job.with_window(2, other).keys
        assert [number for number in range(4) if keys[number] != job.keys[number]] == changed
    assert len(set(job.keys)) == 4


def test_a_window_behind_a_scene_cut_depends_on_none_before_it():
    job = dataclasses.replace(JOB, fresh=(0, 2))
    for changed, window in (([0, 1], 0), ([1], 1), ([2, 3], 2)):
        keys = job.with_window(window, ChosenWindow(7, "a fox", "t")).keys
        assert [number for number in range(4) if keys[number] != job.keys[number]] == changed


def test_every_fact_changes_every_key_and_notes_none():
    other = dataclasses.replace(JOB, facts={**JOB.facts, "steps": 6})
    assert not set(other.keys) & set(JOB.keys)
    assert dataclasses.replace(JOB, notes={}, finished=True).keys == JOB.keys


def test_it_is_read_as_it_was_written(tmp_path):
    assert Manifest.read(tmp_path) is None
    JOB.write(tmp_path)
    assert Manifest.read(tmp_path) == JOB
    done = dataclasses.replace(JOB, finished=True)
    done.write(tmp_path)
    assert Manifest.read(tmp_path).finished


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 2, "digest": "x"}', None])
def test_anything_else_is_damage(tmp_path, text):
    JOB.write(tmp_path)
    whole = (tmp_path / MANIFEST).read_text()
    (tmp_path / MANIFEST).write_text(whole.replace('"steps": 5', '"steps": 6') if text is None else text)
    with pytest.raises(Damaged):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"facts": []},
        {"notes": "x"},
        {"chained": 1},
        {"fresh": ("0",)},
        {"finished": None},
        {"windows": (ChosenWindow("3", "a fox", "t"),)},
        {"windows": (ChosenWindow(-1, "a fox", "t"),)},
        {"windows": (ChosenWindow(3, None, "t"),)},
    ],
)
def test_values_that_no_run_writes_are_damage_though_the_digest_is_right(tmp_path, change):
    dataclasses.replace(JOB, **change).write(tmp_path)
    with pytest.raises(Damaged):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "here, want",
    [
        (JOB, []),
        (dataclasses.replace(JOB, facts={**JOB.facts, "steps": 6}), ["steps 6 here, 5 in out.job"]),
        (dataclasses.replace(JOB, facts={**JOB.facts, "video": "x"}), ["the frames of the video differ"]),
        (dataclasses.replace(JOB, windows=WINDOWS[:2]), ["2 windows here, 4 in out.job"]),
        (JOB.with_window(2, ChosenWindow(7, "a fox", "t")), ["seed of window 3 7 here, 3 in out.job"]),
        (
            dataclasses.replace(JOB, windows=tuple(ChosenWindow(7, "a cat", "u") for _ in range(4))),
            ["seed 7 here, 3 in out.job", "prompt 'a cat' here, 'a fox' in out.job"],
        ),
        (JOB.with_window(0, ChosenWindow(3, "a fox", "u")), ["the embeddings of the prompts differ"]),
    ],
)
def test_differences_are_named(here, want):
    assert here.differences(JOB, "out.job") == want


def test_differences_are_refused_in_one_line():
    refuse([])
    found = fact_differences({"steps": 6}, {"steps": 5}, "out.job")
    with pytest.raises(UserError, match=r"^steps 6 here, 5 in out.job: remove the folder or give `fresh`$"):
        refuse(found)
    with pytest.raises(UserError, match="a redo changes the seed and the prompt of one window only"):
        refuse(found, redo=True)


def test_contents_of_arrays_have_digests():
    zeros = np.zeros((2, 3), np.uint8)
    arrays = [zeros, zeros.reshape(3, 2), zeros + 1, zeros.astype(bool)]
    assert len({content([array]) for array in arrays}) == 4 and content([zeros]) == content([zeros.copy()])
