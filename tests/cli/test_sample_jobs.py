"""Jobs from the command line: kept folders, redo, prompts by window, dry runs and tables."""

import csv
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.inpainting import save_inpainting
from tests.painter import painter  # noqa: F401
from vp_jax.cli import sample
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.jobs.manifest import Manifest
from vp_jax.media.video import read_video


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Inputs in the current folder, and flags of a run of three windows."""
    monkeypatch.chdir(tmp_path)
    Path("weights").mkdir()
    clip_files.folder(Path("video"), clip_files.moving(14, 45, 61))
    hole_HW = np.zeros((45, 61), np.uint8)
    hole_HW[10:30, 20:45] = 255
    Image.fromarray(hole_HW).save("mask.png")
    return ["sample", "--checkpoint", "weights", "--video", "video", "--mask", "mask.png", "--prompt", "a wall"]


def test_windows_stay_beside_the_result_unless_they_are_not_wanted(given, painter, capsys):  # noqa: F811
    assert run([*given, "--out", "out.mkv", "--steps", "2"]) == 0
    assert "kept     out.job, 0.00" in capsys.readouterr().out and Path("out.job/window_0002.safetensors").is_file()
    assert run([*given, "--out", "out.mkv", "--steps", "2", "--no_keep_job"]) == 0
    assert "kept " not in capsys.readouterr().out and not Path("out.job").exists()
    assert run([*given, "--out", "one.mkv", "--steps", "2", "--stop", "9"]) == 0
    assert not Path("one.job").exists(), "a single window is its run"
    assert run([*given, "--out", "one.mkv", "--steps", "2", "--stop", "9", "--keep_job"]) == 0
    assert Path("one.job/window_0000.safetensors").is_file()


def test_a_redo_needs_only_the_result_s_name_and_what_changes(given, painter, capsys):  # noqa: F811
    run([*given, "--out", "out.mkv", "--steps", "2", "--feather", "1"])
    assert run(["sample", "--out", "out.mkv", "--redo_window", "3", "--seed", "7", "--prompt", "a door"]) == 0
    record = json.loads(Path("out.json").read_text())
    assert record["seeds"] == [42, 42, 7] and record["prompts"] == ["a wall", "a wall", "a door"]
    assert record["arguments"]["feather"] == 1 and record["settings"]["steps"] == 2
    assert "window 3/3 continued" in capsys.readouterr().err
    windows = Manifest.read(Path("out.job")).windows
    assert [window[:2] for window in windows] == [(42, "a wall"), (42, "a wall"), (7, "a door")]
    assert run([*given, "--out", "out.mkv", "--redo_window", "1", "--seed", "8", "--feather", "2"]) == 0
    record = json.loads(Path("out.json").read_text())
    assert record["seeds"] == [8, 42, 7] and record["arguments"]["feather"] == 2


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--redo_window", "4", "--seed", "7"], "--redo_window 4: out.job has windows 1 to 3"),
        (["--redo_window", "3"], "--redo_window 3: give it another --seed or --prompt"),
        (
            ["--redo_window", "3", "--seed", "7", "--steps", "9"],
            "--steps 9 here, 2 in out.job: a redo changes the seed",
        ),
        (["--redo_window", "3", "--seed", "7", "--mask_dilate", "9"], "the holes differ: a redo changes the seed"),
    ],
)
def test_what_a_redo_cannot_do_is_one_line(given, painter, flags, message):  # noqa: F811
    run([*given, "--out", "out.mkv", "--steps", "2"])
    with pytest.raises(UserError) as caught:
        run(["sample", "--out", "out.mkv", *flags])
    assert message in str(caught.value)


def test_another_seed_does_not_replace_what_is_unfinished(given, painter, monkeypatch):  # noqa: F811
    flags = [*given, "--out", "out.mkv", "--steps", "2"]
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(painter, "decoded", stopped)
        run(flags)
    kept = Path("out.job/window_0000.safetensors").read_bytes()
    with pytest.raises(UserError, match=r"^--seed 3 here, 42 in out.job: remove the folder or give --fresh$"):
        run([*flags, "--seed", "3"])
    with pytest.raises(
        UserError, match=r"^--prompt 'a door' here, 'a wall' in out.job: remove the folder or give --fre"
    ):
        run([*flags, "--prompt", "a door"])
    assert Path("out.job/window_0000.safetensors").read_bytes() == kept
    assert run([*flags, "--seed", "3", "--fresh"]) == 0


def stopped(events, plan, settings, size):
    """The power goes after the first window."""
    for event in events:
        yield event
        if hasattr(event, "carry"):
            raise RuntimeError("stopped")


def test_a_dry_run_prints_windows_and_memory_and_writes_nothing(given, capsys):
    before = sorted(Path(".").rglob("*"))
    flags = ["sample", "--video", "video", "--mask", "mask.png", "--prompt", "a wall", "--out", "o.mkv", "--dry_run"]
    assert run([*flags, "--window", "9"]) == 0
    out = capsys.readouterr().out
    for words in (
        "14 frames, 61x45",
        "windows  3 of 9 frames",
        "memory   about 0.3",
        "estimated from sizes",
        "time     not known",
    ):
        assert words in out
    assert sorted(Path(".").rglob("*")) == before


def test_prompts_by_time_come_from_a_file(given, painter):  # noqa: F811
    spans = [{"from": 0, "to": "0:00.6", "prompt": "first"}, {"from": "0:01.1", "prompt": "last"}]
    Path("p.json").write_text(json.dumps(spans))
    assert run([*given, "--out", "out.mkv", "--prompts", "p.json"]) == 0
    assert json.loads(Path("out.json").read_text())["prompts"] == ["first", "a wall", "last"]
    with pytest.raises(UserError, match="would be overwritten"):
        run([*given, "--out", "p.mkv", "--prompts", "p.json"])


def table(rows, name="jobs.csv"):
    with open(name, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return name


def results(name="jobs.results.csv"):
    with open(name, newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_runs_every_row_records_bad_ones_and_continues_behind_finished_ones(given, painter, capsys):  # noqa: F811
    rows = [
        ["out", "seed", "video", "invert_mask", "no_composite"],
        ["a.mkv", "1", "", "", "yes"], ["b.mkv", "x", "", "", ""], ["c.mkv", "3", "none.mp4", "", ""],
        ["d.mkv", "4", "", "maybe", ""], ["e.mkv", "5", "", "true", "0"], ["f.avi", "6", "", "", ""],
    ]  # fmt: skip
    command = [*given, "--steps", "2", "--table", table(rows)]
    assert run(command) == 1
    found = results()
    assert [row["status"] for row in found] == ["done", "failed", "failed", "failed", "done", "failed"]
    assert [row["error"] for row in found if row["error"]] == [
        "argument --seed: invalid int value: 'x'; see vp-jax sample --help",
        "none.mp4: no such file",
        "--invert_mask maybe: expected true or false",
        found[5]["error"],
    ]
    assert ".avi" in found[5]["error"]
    records = {name: json.loads(Path(f"{name}.json").read_text()) for name in "ae"}
    assert [records[name]["settings"]["seed"] for name in "ae"] == [1, 5]
    assert [records[name]["arguments"]["composite"] for name in "ae"] == [False, True]
    assert [records[name]["arguments"]["invert_mask"] for name in "ae"] == [False, True]
    assert [records[name]["settings"]["steps"] for name in "ae"] == [2, 2]
    rows[2][1] = "2"
    made = Path("a.mkv").stat().st_mtime_ns
    capsys.readouterr()
    assert run([*command[:-1], table(rows)]) == 1
    out = capsys.readouterr().out
    assert "2 of 6 rows were finished before" in out and "3 of 6 rows are finished, see jobs.results.csv" in out
    assert [row["status"] for row in results()] == ["done", "done", "failed", "failed", "done", "failed"]
    assert Path("a.mkv").stat().st_mtime_ns == made and not Path("jobs.results.job").exists()


@pytest.mark.parametrize(
    "rows, message",
    [
        ([["out", "sed"], ["a.mkv", "1"]], "jobs.csv: unknown column 'sed': did you mean seed?"),
        ([["out"], ["a.mkv"], ["a.mp4"]], "jobs.csv: rows 1 and 2 both write a.mp4"),
        ([["out", "table"], ["a.mkv", "1"]], "jobs.csv: unknown column 'table'"),
    ],
)
def test_a_bad_table_is_one_line_and_runs_nothing(given, painter, rows, message):  # noqa: F811
    with pytest.raises(UserError) as caught:
        run([*given, "--table", table(rows)])
    assert message in str(caught.value) and not painter.calls
    with pytest.raises(UserError, match="--dry_run with --table"):
        run([*given, "--dry_run", "--table", "jobs.csv"])


def test_a_fault_of_one_row_does_not_end_the_table(given, painter, monkeypatch, tmp_path):  # noqa: F811
    shown = sample.show_run

    def faulty(job, loader):
        if job.out.name == "a.mkv":
            raise ValueError("odd")
        shown(job, loader)

    monkeypatch.setattr(sample, "show_run", faulty)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert run([*given, "--table", table([["out"], ["a.mkv"], ["b.mkv"]])]) == 1
    assert [row["error"] for row in results()] == ["unexpected ValueError: odd", ""]


@pytest.mark.slow
def test_twenty_jobs_of_nano_compile_once_and_give_what_single_runs_give(given, monkeypatch):
    compiled, after = [], []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: compiled.append(name) if name.endswith("backend_compile_duration") else None
    )
    shown = sample.show_run
    monkeypatch.setattr(sample, "show_run", lambda *args: (shown(*args), after.append(len(compiled))))
    prompts = ["a red circle", "a blue square", "stripes"]
    rows = [[f"{k}.mkv", str(k), prompts[k % 3], str(k % 4)] for k in range(20)]
    common = ["sample", "--video", "video", "--mask", "mask.png", "--steps", "2", "--window", "5", "--stop", "9"]
    assert run([*common, "--table", table([["out", "seed", "prompt", "mask_dilate"], *rows])]) == 0
    assert len(after) == 20 and after[0] > 0
    assert after == [after[0]] * 20, "everything is compiled in the first row"
    monkeypatch.setattr(sample, "show_run", shown)
    for k in (0, 7, 19):
        _, seed, prompt, dilate = rows[k]
        flags = ["--seed", seed, "--prompt", prompt, "--mask_dilate", dilate, "--out", f"single{k}.mkv"]
        assert run([*common, *flags]) == 0
        np.testing.assert_array_equal(read_video(Path(f"single{k}.mkv"))[0], read_video(Path(f"{k}.mkv"))[0])


@pytest.mark.slow
def test_a_thing_and_what_it_moved_are_removed_by_a_void_checkpoint(given, capsys):
    """One command on files; outside of both masks the source stays, bit for bit, and a redo keeps both."""
    save_inpainting(Path("weights"), "void")
    affected_HW = np.zeros((45, 61), np.uint8)
    affected_HW[30:40, 40:55] = 255
    Image.fromarray(affected_HW).save("affected.png")
    embeds = np.random.default_rng(0).standard_normal((2, 1, 3, 6)).astype(np.float32)
    np.savez("embeds.npz", prompt_embeds=embeds[0], negative_prompt_embeds=embeds[1])
    flags = [*given[:-2], "--prompt_embeds", "embeds.npz", "--task", "remove", "--precision", "float32"]
    flags += ["--mask_dilate", "0", "--affected", "affected.png", "--out", "out.mkv", "--steps", "2"]
    assert run([*flags, "--dry_run"]) == 0
    assert run(flags) == 0
    assert "windows  4 of 5 frames, 1 shared with the next, 2 steps each" in capsys.readouterr().out
    source, result = clip_files.moving(14, 45, 61), read_video("out.mkv")[0]
    changed_HW = (source != result).any((0, 3))
    assert changed_HW[10:30, 20:45].any() and changed_HW[30:40, 45:55].any()
    changed_HW[10:30, 20:45] = changed_HW[30:40, 40:55] = False
    assert not changed_HW.any()
    record = json.loads(Path("out.json").read_text())
    assert record["settings"]["joint"] and not record["settings"]["replace_background"]
    assert run(["sample", "--out", "out.mkv", "--redo_window", "2", "--seed", "7"]) == 0
    assert json.loads(Path("out.json").read_text())["arguments"]["affected"].endswith("affected.png")
    with pytest.raises(UserError, match="the holes differ"):
        run(
            [*flags[:-4], "--out", "out.mkv", "--steps", "2", "--mask_dilate", "1", "--redo_window", "2", "--seed", "8"]
        )


def test_an_affected_mask_is_of_a_removal(given):
    with pytest.raises(UserError, match=r"affected mask\.png: expected"):
        run([*given, "--affected", "mask.png", "--out", "out.mkv"])
