"""Array files within limits: what a header declares is checked before anything is unpacked."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.media.arrays import opened_arrays, read_array, read_arrays

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def header(shape, descr="|u1"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def npz(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("dtype", ["bool", "uint8", ">u2", "int64", "float16", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "packed"])
def test_arrays_come_back(tmp_path, save, dtype, order):
    values = np.asarray(VALUES.astype(dtype), order=order)
    save(tmp_path / "a.npz", values, other=values[0])
    found = read_arrays(tmp_path / "a.npz")
    assert set(found) == {"arr_0", "other"}
    np.testing.assert_array_equal(found["arr_0"], values)
    assert found["arr_0"].dtype == values.dtype and found["arr_0"].flags.c_contiguous
    with opened_arrays((tmp_path / "a.npz").read_bytes()) as arrays:
        rows = [row.copy() for row in arrays["arr_0"].rows()]
    np.testing.assert_array_equal(rows, values)


@pytest.mark.parametrize("values", [VALUES, np.float64(3), np.zeros((0, 4), np.int32)], ids=["3-D", "scalar", "empty"])
def test_single_arrays_come_back(tmp_path, values):
    np.save(tmp_path / "a.npy", values)
    for source in (tmp_path / "a.npy", (tmp_path / "a.npy").read_bytes()):
        found = read_array(source)
        np.testing.assert_array_equal(found, values)
        assert found.shape == np.shape(values)


def test_only_what_is_named_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", prompt=VALUES, note=np.array(["text"]).astype("S8").view("u1"))
    assert list(read_arrays(tmp_path / "a.npz", ["prompt"], kinds="f")) == ["prompt"]
    with pytest.raises(UserError, match="holds 'note', 'prompt', expected 'negative', 'prompt'"):
        read_arrays(tmp_path / "a.npz", ["prompt", "negative"])
    with pytest.raises(UserError, match=r"note: uint8 of shape \(8,\), expected kind f"):
        read_arrays(tmp_path / "a.npz", kinds="f")


def test_the_limit_is_that_of_all_arrays_together(tmp_path):
    np.savez(tmp_path / "a.npz", a=VALUES, b=VALUES)
    assert len(read_arrays(tmp_path / "a.npz", most_bytes=2 * VALUES.nbytes)) == 2
    with pytest.raises(UserError, match=r"b: float32 of shape \(2, 3, 4\) unpacks to"):
        read_arrays(tmp_path / "a.npz", most_bytes=2 * VALUES.nbytes - 1)


def huge(tmp_path):
    (tmp_path / "a.npy").write_bytes(header((2**21, 2**20, 45)) + b"123")
    return tmp_path / "a.npy"


def huge_member(tmp_path):
    return npz(tmp_path / "a.npz", [("arr_0.npy", header((2**21, 2**20, 45)) + b"123")])


def bomb(tmp_path):
    return npz(tmp_path / "a.npz", [("arr_0.npy", header((600, 1000, 100)) + bytes(60_000_000))], zipfile.ZIP_DEFLATED)


def lying_sizes(tmp_path):
    path = npz(tmp_path / "a.npz", [("arr_0.npy", header((64,)) + bytes(64))])
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\x01\x02")
    content[central + 20 : central + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(content)
    return path


def encrypted(tmp_path):
    path = npz(tmp_path / "a.npz", [("arr_0.npy", header((64,)) + bytes(64))])
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    path.write_bytes(content)
    return path


def nested_header(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000)
    return tmp_path / "a.npy"


def endless_header(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{")
    return tmp_path / "a.npy"


def odd_version(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x09\x00" + header((1,))[8:] + b"1")
    return tmp_path / "a.npy"


def negative_side(tmp_path):
    (tmp_path / "a.npy").write_bytes(header((12, 2)).replace(b"(12, 2)", b"(-2, 2)") + b"1234")
    return tmp_path / "a.npy"


def objects(tmp_path):
    np.save(tmp_path / "a.npy", np.array([None]), allow_pickle=True)
    return tmp_path / "a.npy"


def text_member(tmp_path):
    return npz(tmp_path / "a.npz", [("README.md", b"hello")])


def twice(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        return npz(tmp_path / "a.npz", [("a.npy", header((1,)) + b"1"), ("a.npy", header((1,)) + b"2")])


def flipped(tmp_path):
    np.savez(tmp_path / "a.npz", VALUES)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.index(VALUES.tobytes()) + 50] ^= 4
    (tmp_path / "a.npz").write_bytes(content)
    return tmp_path / "a.npz"


def cut(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-5])
    return tmp_path / "a.npy"


def longer(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes() + b"more")
    return tmp_path / "a.npy"


REFUSED = [
    (huge, "declares uint8 of shape .*, but 3 bytes are stored"),
    (huge_member, "arr_0: declares uint8 of shape .*, but 3 bytes are stored"),
    (bomb, "unpacks to 57 MiB, expected at most 16"),
    (lying_sizes, "its sizes cannot be true|cannot be read as a NumPy file"),
    (encrypted, "is encrypted"),
    (nested_header, "damaged array header"),
    (endless_header, "damaged array header"),
    (odd_version, r"array format 9\.0 is unknown"),
    (negative_side, "declares uint8 of shape"),
    (objects, "holds object, expected numbers"),
    (text_member, r"holds README\.md, expected arrays"),
    (twice, "holds a twice"),
    (flipped, "cannot be read as a NumPy file .*CRC"),
    (cut, "but 91 bytes are stored"),
    (longer, "but 100 bytes are stored"),
    (lambda tmp_path: b"PK\x03\x04 broken", "stored arrays: cannot be read as a NumPy file"),
    (lambda tmp_path: b"", "cannot be read as a NumPy file"),
    (lambda tmp_path: tmp_path, "is a folder"),
]


@pytest.mark.parametrize("make, message", REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_refused_in_one_line_before_memory_is_taken(tmp_path, make, message):
    source = make(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=message) as caught:
            read_arrays(source, most_bytes=16 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compression_names_what_to_use(tmp_path, method):
    path = npz(tmp_path / "a.npz", [("arr_0.npy", header((64,)) + bytes(64))], method)
    with pytest.raises(UserError, match=f"packed by method {method}; use np.savez_compressed"):
        read_arrays(path)
