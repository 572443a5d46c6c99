"""Bad input through every door: no traceback, no hang, no bomb (`python -m tests.fuzz` takes more of it)."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz import pool
from tests.fuzz.contained import available
from tests.fuzz.doors import load_doors
from tests.fuzz.mutations import damaged_bytes, damaged_json, damaged_text
from tests.fuzz.pool import Case, Outcome, Worker, shares


@pytest.fixture
def contained():
    """Doors are opened by contained processes alone; without Landlock the fuzzer says so, and opens none."""
    if available():
        return True
    with pytest.raises(EOFError, match="needs Landlock"):
        Worker()
    return False


@pytest.mark.slow
def test_every_door_reads_or_refuses_bad_input_in_one_line(contained):
    if not contained:
        return
    cases = shares(400, {name: door.share for name, door in load_doors().items()}, seed=1)
    outcomes = fuzz.run(cases, workers=2)
    assert [fuzz.described(outcome) for outcome in fuzz.faults_of(outcomes)] == []
    refused, accepted = (
        {outcome.case.door for outcome in outcomes if outcome.outcome == kind} for kind in ("refused", "accepted")
    )
    assert len(refused) > 20 and len(accepted) > 15, "a door that refuses or accepts everything tests little"


@pytest.mark.parametrize("damage", [damaged_bytes, damaged_json, damaged_text])
def test_a_seed_gives_the_same_damage(damage):
    content = b'{"a": [1, 2, {"b": "text"}], "c": null}'
    made = [[damage(content, np.random.default_rng([7, number])) for number in range(50)] for _ in range(2)]
    assert made[0] == made[1] and len({*made[0]} - {content}) > 10


def test_every_door_has_inputs_in_proportion_to_its_share():
    cases = shares(100, {"a": 3.0, "b": 1.0, "c": 0.001}, seed=5)
    assert [sum(case.door == name for case in cases) for name in "abc"] == [75, 25, 1]
    assert {case.seed for case in cases} == {5} and len(set(cases)) == len(cases)


def test_a_fault_says_how_to_repeat_it_and_where_it_was():
    detail = "Traceback\n  File \"/x/vp_jax/media/a.py\", line 3, in f\n    g()\nKeyError: 'step'"
    shown = fuzz.described(Outcome(Case("curves", 2, 12), "traceback", 0.1, detail))
    assert "python -m tests.fuzz --door 'curves' --seed 2 --only 12" in shown
    assert "media/a.py" in shown and shown.endswith("KeyError: 'step'")


@pytest.fixture
def worker(monkeypatch, request, contained):
    """A worker under a watch of three seconds, ``None`` where it cannot be contained."""
    if not contained:
        return None
    monkeypatch.setattr(pool, "SECONDS", 3.0)
    made = Worker()
    request.addfinalizer(made.close)
    return made


@pytest.mark.slow
def test_a_worker_that_hangs_or_dies_is_noticed_and_ended(worker):
    if worker is None:
        return
    assert worker.run(Case("captions", 0, 0)).outcome in ("accepted", "refused") and worker.alive
    worker._process.send_signal(signal.SIGSTOP)
    pool_start, pool._START = pool._START, 3.0
    try:
        assert worker.run(Case("captions", 0, 1)).outcome == "slow"
    finally:
        pool._START = pool_start
    assert not worker.alive


def test_the_table_counts_every_kind_of_fault():
    kinds = ("refused", "accepted", "traceback", "unclear", "crash", "slow", "large")
    lines = fuzz.table([Outcome(Case("door", 0, number), kind, 1.0) for number, kind in enumerate(kinds)])
    assert lines[-1].split() == ["all", "7", *["1"] * 7, "7"] and lines[1].split()[0] == "door"
    assert len(fuzz.faults_of([Outcome(Case("door", 0, 0), kind, 1.0) for kind in kinds])) == 5


def test_a_contained_process_changes_nothing_outside_of_its_folder(tmp_path):
    """Python's calls, a shell's, and one by a link; the file that it may write proves that it ran."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside" / "folder").mkdir(parents=True)
    (tmp_path / "outside" / "file").write_text("precious")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    code = f"""
import os, pathlib, shutil, subprocess
from tests.fuzz.contained import contain
root = pathlib.Path({str(tmp_path)!r})
contain(root / "inside")
(root / "inside" / "x").write_text("may be written")
pathlib.Path("/dev/null").write_text("goes nowhere")
out, held = root / "outside", 0
def shell(): subprocess.run(["rm", "-r", str(out)], check=True, stderr=subprocess.DEVNULL)
for act in (lambda: shutil.rmtree(out), lambda: os.remove(out / "file"), lambda: os.rmdir(out / "folder"),
            lambda: os.rename(root / "inside" / "x", out / "x"), lambda: (out / "new").write_text("x"),
            lambda: os.mkdir(root / "inside" / ".." / "outside" / "new"), lambda: os.truncate(out / "file", 0),
            lambda: (root / "inside" / "link" / "file").write_text(""), shell):
    try:
        act()
    except (OSError, subprocess.CalledProcessError):
        held += 1
print(held, (out / "file").read_text())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=pool.ROOT, capture_output=True, text=True)
    if not available():
        assert done.returncode and "landlock" in done.stderr
        return
    assert done.stdout.split() == ["9", "precious"], done.stderr
    assert (tmp_path / "inside" / "x").is_file() and (tmp_path / "outside" / "folder").is_dir()
    assert len(list((tmp_path / "outside").iterdir())) == 2
