"""A run's folder: one process at a time, nothing else in it, exports whole or not at all."""

import json
import os

import pytest

from vp_jax.errors import UserError
from vp_jax.files import replace_parts
from vp_jax.runs.workdir import claimed_workdir, record_start, write_config


def test_one_process_at_a_time(tmp_path):
    with claimed_workdir(tmp_path / "run"):
        with pytest.raises(UserError, match="another process trains in"), claimed_workdir(tmp_path / "run"):
            pass
    with claimed_workdir(tmp_path / "run"):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    text = json.dumps({"kind": "dit"})
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"no run of train\.py wrote"), claimed_workdir(tmp_path):
        pass
    assert (tmp_path / "config.json").read_text() == text
    write_config(tmp_path, json.dumps({"checkpoints": {"keep": 3}}))
    with claimed_workdir(tmp_path):
        pass
    taken = tmp_path / "config.json"
    with pytest.raises(UserError, match=r"expected a folder that can be written to"), claimed_workdir(taken):
        pass


def test_exports_appear_whole_and_leave_others_alone(tmp_path):
    def written(value):
        (tmp_path / "new" / "branch").mkdir(parents=True)
        (tmp_path / "new" / "branch" / value).touch()
        replace_parts(tmp_path / "new", tmp_path / "export")

    written("first")
    (tmp_path / "export" / "vae").mkdir()
    written("second")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "export",
        "export/branch",
        "export/branch/second",
        "export/vae",
    ]


def test_every_start_is_noted_with_the_settings_of_the_last(tmp_path):
    for step, rate in ((0, 1.0), (7, 0.5)):
        record_start(tmp_path, {"lr": rate, "checkpoints": {}}, step)
    assert json.loads((tmp_path / "config.json").read_text())["lr"] == 0.5
    starts = [json.loads(line) for line in (tmp_path / "starts.jsonl").read_text().splitlines()]
    assert [start["step"] for start in starts] == [0, 7]
    assert {"jax", "python", "device"} <= set(starts[0]["versions"]) and "commit" in starts[0]


@pytest.mark.parametrize("name", [".lock", "config.json", "starts.jsonl"])
def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="is a pipe: expected a regular file"), claimed_workdir(tmp_path):
        pass


def test_a_note_of_the_start_that_cannot_be_written_is_one_line(tmp_path):
    with claimed_workdir(tmp_path):
        (tmp_path / "starts.jsonl").mkdir()
        with pytest.raises(UserError, match=r"starts\.jsonl: cannot be written \(Is a directory\)"):
            record_start(tmp_path, {"checkpoints": {}}, 0)
