"""A step whose loss is not finite: its clips are named, the weights stay good, and the next start leaves them out."""

import json
import re
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests.children import devices
from tests.runs.white_clips import Clips, models, settings
from vp_jax.data.journal import read_journal
from vp_jax.errors import UserError
from vp_jax.runs import input_pipeline, multihost
from vp_jax.runs.bad_steps import blame, excluded_clips, shown
from vp_jax.runs.recorder import BadStep
from vp_jax.runs.train import train
from vp_jax.scalars import read_metrics
from vp_jax.training.stages import registry


def run(monkeypatch, folder, white, **changes):
    monkeypatch.setitem(registry.STAGES, "toy", models)
    monkeypatch.setattr(input_pipeline, "open_source", lambda data, loader, **_: Clips(white))
    return train(settings(**changes), folder)


def losses(folder):
    return [line["loss"] for line in read_metrics(folder) if "loss" in line]


@pytest.mark.slow
def test_single_clips_are_excluded_and_the_run_goes_on_from_the_step_before(monkeypatch, one_device, tmp_path, capsys):
    with pytest.raises(UserError) as raised:
        run(monkeypatch, tmp_path, white=(3,))
    line = str(raised.value)
    assert "the loss is not finite for clip 3 (batch: clip" in line and "the same command continues" in line
    step = int(line.split("step ")[1].split(":")[0])
    assert f"step {step} is saved" in line and (tmp_path / "checkpoints" / str(step)).is_dir()
    assert read_journal(tmp_path / "data.jsonl", "excluded") == {"clip 3": f"the loss of step {step} was not finite"}
    before = losses(tmp_path)
    assert len(before) == step - 1 and np.isfinite(before).all()

    capsys.readouterr()
    assert run(monkeypatch, tmp_path, white=(3,)) == 0
    out = capsys.readouterr().out
    assert "data     1 excluded, the loss of a step with them was not finite: clip 3; remove" in out
    assert f"resumed from step {step}" in out
    after = losses(tmp_path)
    assert np.isfinite(after).all() and after[: step - 1] == before and len(after) == 6 - 1


@pytest.mark.slow
def test_where_no_clip_stands_out_the_checkpoint_of_before_stays_and_no_step_is_hit_for_ever(
    monkeypatch, one_device, tmp_path
):
    """Every clip of a batch of one is its cause, and so could the weights be."""
    for count in (1, 2, 3, 4):
        with pytest.raises(UserError, match=r"step 1: .* no single clip stands out"):
            run(monkeypatch, tmp_path, white=range(6), batch=1)
        assert len(excluded_clips(tmp_path / "data.jsonl")) == count, "another clip at every start"
        assert not list((tmp_path / "checkpoints").glob("[0-9]*"))
    with pytest.raises(UserError, match="4 of 6 clips are excluded, more than half: the settings are the cause"):
        run(monkeypatch, tmp_path, white=range(6), batch=1)


def two_processes(folder, white):
    """Exit status and output of two processes of one job, joined by jax.distributed, with one device each."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "tests.runs.white_clips"]
    both = [
        subprocess.Popen(
            [*command, str(index), "2", address, str(folder), white],
            env=devices(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for index in range(2)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=300)[0] for process in both]
    return [process.returncode for process in both], outputs


@pytest.mark.slow
def test_two_processes_stop_at_one_bad_step_name_the_same_clips_and_go_on_without_them(tmp_path):
    """The bad clip is in the part of one of them; the other one has to know."""
    statuses, outputs = two_processes(tmp_path, "3")
    assert statuses == [2, 2], outputs
    lines = [re.search(r"^error: step (\d+): .*", output, re.MULTILINE) for output in outputs]
    assert lines[0] and lines[1] and lines[0][0] == lines[1][0], outputs
    step, line = int(lines[0][1]), lines[0][0]
    assert "the loss is not finite for clip 3 (batch: clip" in line and f"step {step} is saved" in line
    assert len(set(re.findall(r"clip \d", re.search(r"batch: ([^)]*)", line)[1]))) > 2, "clips of both processes"
    assert list(read_journal(tmp_path / "data.jsonl", "excluded")) == ["clip 3"]
    assert (tmp_path / "checkpoints" / str(step)).is_dir()

    statuses, outputs = two_processes(tmp_path, "3")
    assert statuses == [0, 0], outputs
    assert f"resumed from step {step}" in outputs[0] and "1 excluded" in outputs[0]
    after = losses(tmp_path)
    assert np.isfinite(after).all() and len(after) == 6 - 1


@pytest.mark.slow
def test_two_processes_stop_alike_where_no_clip_stands_out_and_do_not_meet_the_step_for_ever(tmp_path):
    for message in (r"step 1: .* no single clip stands out in the batch", r"4 of 6 clips are excluded, more than half"):
        statuses, outputs = two_processes(tmp_path, "0,1,2,3,4,5")
        assert statuses == [2, 2], outputs
        found = [re.search(rf"^error: .*{message}.*", output, re.MULTILINE) for output in outputs]
        assert found[0] and found[1] and found[0][0] == found[1][0], outputs
        assert not list((tmp_path / "checkpoints").glob("[0-9]*"))
    assert len(excluded_clips(tmp_path / "data.jsonl")) == 4


def test_the_clips_of_every_process_are_named(monkeypatch):
    """Two processes hold two rows each; the third of the batch is bad."""
    losses_B, parts = np.array([1.0, 2.0, np.nan, 3.0]), []
    monkeypatch.setattr(multihost, "gathered", lambda value: parts.append(value) or [value])
    for index, names in enumerate((("a", "b"), ("c", "d"))):
        blame(BadStep(7, names, losses_B), (index, 2))
    assert parts == [[["a", "b"], []], [["c", "d"], ["c"]]]
    monkeypatch.setattr(multihost, "gathered", lambda value: parts)
    for index, names in enumerate((("a", "b"), ("c", "d"))):
        found = blame(BadStep(7, names, losses_B), (index, 2))
        assert found == (7, ("a", "b", "c", "d"), ("c",), True)


@pytest.mark.parametrize("losses_B", [np.ones(2), np.full(2, np.inf), None])
def test_the_clips_are_all_suspects_where_none_stands_out(losses_B):
    """The gradient is not finite, or all losses are not."""
    assert blame(BadStep(3, ("a", "b"), losses_B), (0, 1)) == (3, ("a", "b"), ("a", "b"), False)


def test_values_of_all_processes_are_gathered_in_their_order(monkeypatch):
    assert multihost.gathered(["a"]) == [["a"]]
    texts = [json.dumps(value).encode() for value in (["a"], ["\u00e9", "longer"])]
    answers = [np.array([len(text) for text in texts], np.int32)]
    rows = np.zeros((2, max(map(len, texts))), np.uint8)
    for row, text in zip(rows, texts):
        row[: len(text)] = np.frombuffer(text, np.uint8)
    answers.append(rows)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(multihost.multihost_utils, "process_allgather", lambda value: answers.pop(0))
    assert multihost.gathered(["a"]) == [["a"], ["\u00e9", "longer"]]


def test_a_line_names_some_and_counts_the_others():
    assert shown("abc") == "a, b, c"
    assert shown(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert excluded_clips(None) == ()
