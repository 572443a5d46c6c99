"""Kept arrays come back as they were, or not at all."""

import os

import ml_dtypes
import numpy as np
import pytest

from vp_jax.digests import Damaged
from vp_jax.errors import UserError
from vp_jax.jobs.kept_arrays import load_arrays, save_arrays

JOB = "a job"
DRAW = np.random.default_rng(0)
ARRAYS = {
    "latents": DRAW.standard_normal((1, 3, 4, 5), np.float32),
    "states": DRAW.standard_normal((2, 7)).astype(ml_dtypes.bfloat16),
    "mask": DRAW.integers(0, 2, (4, 5)).astype(bool),
    "done": 3,
}


def damage(data: bytes, number: int, draw: np.random.Generator) -> bytes:
    """One bit flipped, or the end cut off every fourth time."""
    if number % 4 == 3:
        return data[: draw.integers(len(data))]
    changed, bit = bytearray(data), draw.integers(8 * len(data))
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def same(got, want) -> bool:
    return got.keys() == want.keys() and all(
        got[name].dtype == np.asarray(want[name]).dtype and got[name].tobytes() == np.asarray(want[name]).tobytes()
        for name in got
    )


def test_arrays_of_every_type_come_back(tmp_path):
    save_arrays(tmp_path / "a.safetensors", ARRAYS, JOB)
    assert same(load_arrays(tmp_path / "a.safetensors", JOB), ARRAYS)


def test_flips_and_cuts_are_never_read_as_other_values(tmp_path):
    path, draw, found = tmp_path / "a.safetensors", np.random.default_rng(1), 0
    save_arrays(path, ARRAYS, JOB)
    whole = path.read_bytes()
    for number in range(300):
        path.write_bytes(damage(whole, number, draw))
        try:
            assert same(load_arrays(path, JOB), ARRAYS), number
        except Damaged as error:
            assert "\n" not in str(error)
            found += 1
    assert found > 290, "but for a few bits of padding, each is found"


@pytest.mark.parametrize("header", ["latents", "float32[1,3,4,5]", '"F32"', "[1,3,4,5]"])
def test_a_header_that_is_still_well_formed_is_no_way_round(tmp_path, header):
    path = tmp_path / "a.safetensors"
    save_arrays(path, ARRAYS, JOB)
    other = {"latents": "lateNts", "float32[1,3,4,5]": "float32[3,1,4,5]", '"F32"': '"I32"', "[1,3,4,5]": "[3,1,4,5]"}
    data = path.read_bytes()
    assert header.encode() in data
    path.write_bytes(data.replace(header.encode(), other[header].encode(), 1))
    with pytest.raises(Damaged):
        load_arrays(path, JOB)


def test_another_job_and_another_name_are_refused(tmp_path):
    path = tmp_path / "window_0001.safetensors"
    save_arrays(path, ARRAYS, JOB)
    with pytest.raises(Damaged, match="not of this run"):
        load_arrays(path, "another job")
    path.rename(tmp_path / "window_0002.safetensors")
    with pytest.raises(Damaged, match="not of this run"):
        load_arrays(tmp_path / "window_0002.safetensors", JOB)


def test_a_pipe_and_a_folder_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "", "missing"):
        with pytest.raises(Damaged):
            load_arrays(tmp_path / name, JOB)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written"):
        save_arrays(tmp_path / "file" / "a.safetensors", ARRAYS, JOB)
