"""Checkpoints of several processes: the same digests as on one, and one decision about damage for all of them."""

import json
import shutil
import socket
import subprocess
import sys

import pytest

from tests.children import devices


def run(folder, stage, count):
    """Run ``stage`` in ``count`` processes with eight devices in all; the lines that they printed."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.checkpoint.run_process", str(i), str(count), address, str(folder), stage],
            env=devices(8 // count),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    results = [process.communicate(timeout=300) for process in processes]
    assert all(process.returncode == 0 for process in processes), results[0][1][-3000:] + results[-1][1][-3000:]
    return [json.loads(line) for output, _ in results for line in output.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    run(folder, "save", 2)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 1])
def test_restored_by_as_many_processes_and_by_one(saved, count):
    want = {"step": 3, "notes": {"loader": {"step": 3}}, "damaged": []}
    assert run(saved, "restore", count) == [want] * count


def flip(folder):
    """A bit in the values of the newest checkpoint; where they are compressed, only a part of the processes fails."""
    for path in (folder / "run" / "3" / "state").rglob("d/*"):
        if path.stat().st_size > 1000:
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 4
            path.write_bytes(data)


def cut(folder):
    for path in (folder / "run" / "3" / "state" / "ocdbt.process_1").rglob("d/*"):
        path.write_bytes(path.read_bytes()[:100])


def empty(folder):
    shutil.rmtree(folder / "run" / "3")
    (folder / "run" / "3").mkdir()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flip, cut, empty])
def test_all_processes_go_back_to_the_same_checkpoint(saved, tmp_path, damage):
    shutil.copytree(saved, tmp_path / "copy")
    damage(tmp_path / "copy")
    found = run(tmp_path / "copy", "restore", 2)
    assert [line["step"] for line in found] == [2, 2]
    assert all(len(line["damaged"]) == 1 and "moved to damaged-3, using step 2" in line["damaged"][0] for line in found)
    assert (tmp_path / "copy" / "run" / "damaged-3").is_dir()
