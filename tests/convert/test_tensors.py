"""Safetensors files: damaged headers are one line, offsets stay in the file, texts of the header are read."""

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from vp_jax.convert.tensors import Tensor, read_header, read_safetensors, write_tensors
from vp_jax.errors import UserError

TENSORS = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.ones(5, np.float16), "c": np.zeros((), np.int64)}


def raw(path, header, data=b"\0" * 64, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


def entry(dtype="F32", shape=(2, 2), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


DAMAGED = {
    "overlapping": {"a": entry(), "b": entry(offsets=(8, 24))},
    "the same place twice": {"a": entry(), "b": entry()},
    "a hole between": {"a": entry(), "b": entry(offsets=(32, 48))},
    "beyond the end": {"a": entry(offsets=(0, 16)), "b": entry(shape=(1000, 1000), offsets=(16, 4000016))},
    "end before start": {"a": entry(offsets=(16, 0))},
    "shape of another size": {"a": entry(shape=(3, 3))},
    "negative offset": {"a": entry(offsets=(-16, 0))},
    "negative shape": {"a": entry(shape=(-2, -2))},
    "huge shape": {"a": entry(shape=(2**40, 2**40))},
    "overflowing shape": {"a": entry(shape=(2**63, 4))},
    "fractional shape": {"a": entry(shape=(2.5, 2))},
    "unknown type": {"a": entry(dtype="F99")},
    "no offsets": {"a": {"dtype": "F32", "shape": [2, 2]}},
    "null": {"a": None},
    "a list": [1, 2],
    "numbers in the metadata": {"__metadata__": {"x": 1}, "a": entry()},
    "no JSON": b"{",
    "nothing": b"",
    "deep nesting": b'{"a":' * 50_000,
    "no UTF-8": b'{"\xff\xfe": 1}',
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_headers_are_one_line(tmp_path, name):
    path = raw(tmp_path / "a.safetensors", DAMAGED[name])
    for action in (read_safetensors, read_header):
        with pytest.raises(
            UserError, match=r"a\.safetensors is not a complete safetensors file .*: download"
        ) as caught:
            action(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 1, 10**6, 2**40, 2**63])
def test_a_header_of_another_length(tmp_path, length):
    path = raw(tmp_path / "a.safetensors", {"a": entry()}, length=length)
    with pytest.raises(UserError, match="not a complete safetensors file"):
        read_safetensors(path)


def test_eight_bit_floats_are_named(tmp_path):
    path = raw(tmp_path / "a.safetensors", {"a": entry(dtype="F8_E4M3", offsets=(0, 4))}, b"\0" * 4)
    with pytest.raises(UserError, match=r"a has type F8_E4M3, expected one of F64, F32, F16, BF16"):
        read_safetensors(path)


def test_a_pipe_does_not_block_and_a_refusal_is_cannot_be_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(UserError, match="is a pipe: expected a regular file"):
        read_safetensors(tmp_path / "pipe.safetensors")
    save_file(TENSORS, tmp_path / "a.safetensors")

    def denied(self, *args):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "open", denied)
    with pytest.raises(UserError, match=r"a\.safetensors cannot be read \(Permission denied\)"):
        read_safetensors(tmp_path / "a.safetensors")


def test_two_hundred_flips_and_cuts_raise_nothing_else(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors", {"note": "x"})
    data, draw = (tmp_path / "a.safetensors").read_bytes(), np.random.default_rng(0)
    for number in range(200):
        damaged = bytearray(data)
        if number % 3:
            for bit in draw.integers(0, 8 * min(len(data), 300), number % 3):
                damaged[bit // 8] ^= 1 << bit % 8
        else:
            damaged = damaged[: draw.integers(len(data))]
        (tmp_path / "b.safetensors").write_bytes(damaged)
        try:
            for tensor in read_safetensors(tmp_path / "b.safetensors").values():
                np.asarray(tensor)
        except UserError as error:
            assert "\n" not in str(error)


def test_a_file_that_shrinks_after_its_header_was_read(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(TENSORS, path)
    tensors = read_safetensors(path)
    assert tensors["a"].nbytes == 48
    np.testing.assert_array_equal(np.asarray(tensors["a"]), TENSORS["a"])


def test_texts_of_the_header(tmp_path):
    write_tensors(tmp_path / "a.safetensors", TENSORS, {"scale": "0.5"})
    assert read_header(tmp_path / "a.safetensors") == {"format": "pt", "scale": "0.5"}
    write_tensors(tmp_path / "b.safetensors", TENSORS)
    assert read_header(tmp_path / "b.safetensors") == {"format": "pt"}
    save_file(TENSORS, tmp_path / "c.safetensors")
    assert read_header(tmp_path / "c.safetensors") == {}


def test_what_is_written_is_what_is_read(tmp_path):
    tensors = {**TENSORS, "d": np.arange(6, dtype=np.float32).reshape(2, 3).T, "e": np.ones(3, ml_dtypes.bfloat16)}
    write_tensors(
        tmp_path / "a.safetensors", {**tensors, "f": Tensor((2,), np.dtype(np.int8), lambda: np.ones(2, np.int8))}
    )
    got = read_safetensors(tmp_path / "a.safetensors")
    assert got.keys() == {*tensors, "f"}
    for key, want in tensors.items():
        assert got[key].dtype == want.dtype and got[key].shape == want.shape
        np.testing.assert_array_equal(np.asarray(got[key]), want)
