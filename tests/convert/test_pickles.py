"""PyTorch files: what is no plain tensor is named, and costs neither memory nor time."""

import os
import resource
import warnings

import numpy as np
import pytest
import torch

from vp_jax.convert.pickles import read_pickle
from vp_jax.errors import UserError


def quantised():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(3, 3), 0.1, 0, torch.qint8)


def compressed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.eye(3).to_sparse_csr()


ODD = {
    "sparse": (lambda: torch.eye(3).to_sparse(), r"x is sparse \(sparse_coo\)"),
    "sparse rows": (compressed, r"x is sparse \(sparse_csr\)"),
    "meta": (lambda: torch.empty(10**6, 10**6, device="meta"), "x is without values"),
    "quantised": (quantised, r"x is quantised \(qint8\)"),
    "fp8": (lambda: torch.ones(3).to(torch.float8_e4m3fn), "x is of type float8_e4m3fn"),
    "fp8 e5m2": (lambda: torch.ones(3).to(torch.float8_e5m2), "x is of type float8_e5m2"),
    "complex": (lambda: torch.ones(3, dtype=torch.complex64), "x is of type complex64"),
    "unsigned": (lambda: torch.ones(3).to(torch.uint16), "x is of type uint16"),
    "expanded": (lambda: torch.zeros(1).expand(10**6, 10**6), r"x is \(1000000, 1000000\) stretched from 4 bytes"),
    "expanded by one axis": (lambda: torch.zeros(1, 3).expand(9, 3), "x is .* stretched from 12 bytes"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old format"])
def test_odd_tensors_are_named(tmp_path, name, zipped, recwarn):
    make, message = ODD[name]
    try:
        torch.save({"w": torch.ones(2), "x": make()}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    except (RuntimeError, TypeError, NotImplementedError, AttributeError):
        assert not zipped  # the old format does not know it
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=f"{message}|plain tensors") as caught:
        read_pickle(tmp_path / "a.pt")
    assert "\n" not in str(caught.value) and "w is" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # kB


def test_all_odd_tensors_in_one_line(tmp_path):
    torch.save({f"x{i}": torch.eye(2).to_sparse() for i in range(30)}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"x0 is sparse .*; \.\.\. and 20 more; expected plain tensors"):
        read_pickle(tmp_path / "a.pt")


def test_names_that_are_no_texts(tmp_path):
    torch.save({1: torch.ones(2), "x": torch.ones(2)}, tmp_path / "a.pt")
    with pytest.raises(UserError, match="1 is a number instead of a name"):
        read_pickle(tmp_path / "a.pt")


def test_a_dict_that_holds_itself_ends(tmp_path):
    state: dict = {}
    state["state_dict"] = state
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"holds \['state_dict'\] beside tensors"):
        read_pickle(tmp_path / "a.pt")


@pytest.mark.parametrize("value", [None, 3, [torch.ones(2)], torch.ones(2), "x"], ids=str)
def test_what_is_no_dict_is_named(tmp_path, value):
    torch.save(value, tmp_path / "a.pt")
    with pytest.raises(UserError, match="expected a flat dict of tensors"):
        read_pickle(tmp_path / "a.pt")


def test_pipes_and_folders_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(UserError, match="is a pipe"):
        read_pickle(tmp_path / "a.pt")
    with pytest.raises(UserError, match="is a folder"):
        read_pickle(tmp_path)


def test_flips_and_cuts_raise_nothing_else(tmp_path):
    torch.save({"a": torch.ones(20), "b": torch.zeros(3, 3).half()}, tmp_path / "a.pt")
    data, draw = (tmp_path / "a.pt").read_bytes(), np.random.default_rng(0)
    for number in range(120):
        damaged = bytearray(data)
        if number % 3:
            bit = draw.integers(0, 8 * len(data))
            damaged[bit // 8] ^= 1 << bit % 8
        else:
            damaged = damaged[: draw.integers(len(data))]
        (tmp_path / "b.pt").write_bytes(damaged)
        try:
            for tensor in read_pickle(tmp_path / "b.pt").values():
                np.asarray(tensor)
        except UserError as error:
            assert "\n" not in str(error)


def test_views_and_parameters_are_plain_tensors(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    state = {"t": base.T, "row": base[1], "p": torch.nn.Parameter(base), "z": torch.zeros(0, 3), "s": torch.tensor(2.0)}
    torch.save(state, tmp_path / "a.pt")
    got = read_pickle(tmp_path / "a.pt")
    for key, want in state.items():
        np.testing.assert_array_equal(np.asarray(got[key]), want.detach().numpy())
