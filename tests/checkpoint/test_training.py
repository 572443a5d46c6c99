"""Training checkpoints that are damaged: named, moved aside, the one before is used; never other values."""

import logging
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.checkpoint import TrainingCheckpoints
from vp_jax.digests import Damaged
from vp_jax.errors import UserError

ROOT = Path(__file__).parents[2]
STATE = {
    "params": {"kernel": jnp.arange(3000, dtype=jnp.float32).reshape(30, 100), "scale": jnp.ones(7, jnp.bfloat16)},
    "step": jnp.int32(4),
}


def like(state=None):
    state = STATE if state is None else state
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)


def plus(number):
    return jax.tree.map(lambda x: x + jnp.asarray(number, x.dtype), STATE)


@pytest.fixture
def run(tmp_path):
    """Checkpoints 3, 5 and 7, whose values differ."""
    with TrainingCheckpoints(tmp_path / "run", keep=3) as checkpoints:
        for step in (3, 5, 7):
            checkpoints.save(step, plus(step), {"loader": {"step": step}}, wait=True)
    return tmp_path / "run"


def newest(run, **options):
    with TrainingCheckpoints(run, keep=3) as checkpoints:
        return checkpoints.restore_newest(like(**options))


def assert_is(restored, step):
    assert restored.step == step and restored.notes == {"loader": {"step": step}}
    for got, want in zip(jax.tree.leaves(restored.state), jax.tree.leaves(plus(step)), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(np.asarray(got), np.asarray(want))


def empty(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def flip_notes(folder):
    path = folder / "notes" / "metadata"
    path.write_bytes(path.read_bytes().replace(b"7", b"6"))  # still JSON: another place in the data


def lose_digests(folder):
    (folder / "digests" / "metadata").write_bytes(b"")


def pipe(folder):
    (folder / "state" / "manifest.ocdbt").unlink()
    os.mkfifo(folder / "state" / "manifest.ocdbt")


def other_values(folder):
    shutil.rmtree(folder / "state")
    shutil.copytree(folder.with_name("5") / "state", folder / "state")


def test_nothing_is_wrong(run):
    restored = newest(run)
    assert_is(restored, 7)
    assert restored.damaged == ()


def test_no_checkpoint_at_all(tmp_path):
    assert newest(tmp_path / "run") is None


@pytest.mark.parametrize("damage", [empty, flip_notes, lose_digests, pipe, other_values])
def test_a_damaged_newest_checkpoint_is_moved_aside_and_the_one_before_is_used(run, damage, caplog):
    damage(run / "7")
    with TrainingCheckpoints(run, keep=3) as checkpoints:
        restored = checkpoints.restore_newest(like())
        assert_is(restored, 5)
        (line,) = restored.damaged
        assert line.startswith(f"checkpoint 7 in {run} cannot be read (")
        assert line.endswith("): moved to damaged-7, using step 5") and "\n" not in line
        # the run comes to that step again and saves it
        checkpoints.save(7, plus(7), {"loader": {"step": 7}}, wait=True)
    assert (run / "damaged-7").is_dir()
    assert_is(newest(run), 7)
    assert not caplog.records


def test_several_damaged_ones(run):
    empty(run / "7")
    (run / "5" / "notes" / "metadata").write_bytes(b"{")
    (run / "damaged-7").mkdir()
    restored = newest(run)
    assert_is(restored, 3)
    assert [line.rpartition("moved to ")[2] for line in restored.damaged] == [
        "damaged-7-2, using step 3",
        "damaged-5, using step 3",
    ]


def test_all_damaged_ones_stay_where_they_are(run):
    for step in ("3", "5", "7"):
        empty(run / step)
    with pytest.raises(Damaged, match=r"no checkpoint in .* can be read: .*checkpoint 7.*checkpoint 5.*checkpoint 3"):
        newest(run)
    assert {path.name for path in run.iterdir()} >= {"3", "5", "7"}


def test_a_state_of_another_run_is_no_damage(run):
    other = {"params": {"kernel": jnp.zeros((2, 2))}, "step": jnp.int32(0)}
    with pytest.raises(UserError, match="is of another run") as caught:
        newest(run, state=other)
    assert not isinstance(caught.value, Damaged)
    assert (run / "7").is_dir()


def test_checkpoints_of_older_versions_are_read_and_reported_once(run, caplog):
    for step in ("3", "5", "7"):
        shutil.rmtree(run / step / "digests")
    with caplog.at_level(logging.WARNING, "vp_jax"):
        assert_is(newest(run), 7)
    assert [record.message for record in caplog.records] == [
        f"note: {run} holds checkpoints of an older version without digests: damage would not be noticed"
    ]


FLIPS = """
import shutil, sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
from vp_jax.checkpoint import TrainingCheckpoints
from vp_jax.errors import UserError
root, count = Path(sys.argv[1]), int(sys.argv[2])
draw = np.random.default_rng(0)
states = {s: {"a": jnp.asarray(draw.standard_normal((40, 50)), jnp.float32), "step": jnp.int32(s)} for s in (1, 2)}
with TrainingCheckpoints(root / "run", keep=2) as checkpoints:
    for step, state in states.items():
        checkpoints.save(step, state, {"loader": {"step": step}})
files = sorted(path.relative_to(root / "run") for path in (root / "run" / "2").rglob("*") if path.is_file())
like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), states[1])
silent, before = [], 0
for number in range(count):
    run = root / f"damaged{number}"
    shutil.copytree(root / "run", run)
    file = files[number % len(files)]
    data = bytearray((run / file).read_bytes())
    if number % 4 == 3:
        (run / file).write_bytes(data[: draw.integers(len(data))])
    else:
        bit = draw.integers(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        (run / file).write_bytes(data)
    with TrainingCheckpoints(run, keep=2) as checkpoints:
        step, state, notes, damaged = checkpoints.restore_newest(like)
    before += step == 1
    same = all(np.asarray(state[k]).tobytes() == np.asarray(x).tobytes() for k, x in states[step].items())
    if not same or notes != {"loader": {"step": step}}:
        silent.append(str(file))
    assert (step == 2) == (damaged == ())
    shutil.rmtree(run)
print(before, silent)
"""


@pytest.mark.slow
def test_a_hundred_flips_and_cuts_are_never_read_as_other_values(tmp_path):
    command = [sys.executable, "-c", FLIPS, str(tmp_path), "100"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    before, silent = done.stdout.split(maxsplit=1)
    assert silent.strip() == "[]" and int(before) > 40, done.stdout


def test_files_whose_owner_has_no_name_are_read(run, monkeypatch):
    """As in ``docker run --user 12345``."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert_is(newest(run), 7)
    empty(run / "7")
    assert_is(newest(run), 5)
