"""Reading every kind of checkpoint file, refusing broken ones, writing what others read."""

import builtins
import json

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vp_jax.convert import files
from vp_jax.errors import UserError
from vp_jax.reading import read_json


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        "half": torch.randn(3, 4, generator=draw).half(),
        "brain": torch.randn(5, 2, generator=draw).bfloat16(),
        "single": torch.randn(2, 3, 4, generator=draw),
        "count": torch.tensor(7),
        "ids": torch.arange(6),
    }


def assert_same(tensors, state):
    assert set(tensors) == set(state)
    for key, want in state.items():
        got = np.asarray(tensors[key])
        assert tensors[key].shape == got.shape == tuple(want.shape)
        assert tensors[key].dtype == got.dtype
        assert got.dtype == (ml_dtypes.bfloat16 if want.dtype == torch.bfloat16 else want.numpy().dtype)
        assert got.tobytes() == bytes(want.contiguous().reshape(-1).view(torch.uint8).numpy())
        assert tensors[key].nbytes == got.nbytes


def write_shards(folder, state, stem="model"):
    names = [f"{stem}-{i + 1:05}-of-00002.safetensors" for i in range(2)]
    keys = sorted(state)
    where = {key: names[i % 2] for i, key in enumerate(keys)}
    for name in names:
        save_file({k: state[k] for k in keys if where[k] == name}, folder / name)
    index = folder / f"{stem}.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return index


@pytest.mark.parametrize(
    "name",
    [
        "diffusion_pytorch_model.safetensors",
        "model.safetensors",
        "pytorch_model.bin",
        "pytorch_lora_weights.safetensors",
        "diffusion_pytorch_model.fp16.safetensors",
        "anything.pt",
    ],
)
def test_single_files_are_found(tmp_path, state, name):
    if name.endswith(".safetensors"):
        save_file(state, tmp_path / name)
    else:
        torch.save(state, tmp_path / name)
    (tmp_path / "config.json").write_text("{}")
    assert_same(files.read_tensors(tmp_path), state)
    assert_same(files.read_tensors(tmp_path / name), state)


def test_shards(tmp_path, state):
    index = write_shards(tmp_path, state)
    assert_same(files.read_tensors(tmp_path), state)
    assert_same(files.read_tensors(index), state)


@pytest.mark.parametrize(
    "fault, message",
    [
        ("missing shard", "lacks .*00002-of-00002.* finish the download"),
        ("unlisted tensor", "- count: in model-00002"),
        ("absent tensor", r"\+ ghost: not in model-00001"),
        ("no map", "has no weight_map"),
    ],
)
def test_shards_must_agree_with_their_index(tmp_path, state, fault, message):
    index = write_shards(tmp_path, state)
    values = json.loads(index.read_text())
    if fault == "missing shard":
        (tmp_path / "model-00002-of-00002.safetensors").unlink()
    elif fault == "unlisted tensor":
        del values["weight_map"]["count"], values["weight_map"]["brain"]
    elif fault == "absent tensor":
        values["weight_map"]["ghost"] = "model-00001-of-00002.safetensors"
    else:
        del values["weight_map"]
    index.write_text(json.dumps(values))
    with pytest.raises(UserError, match=message):
        files.read_tensors(tmp_path)


def test_pickles_with_a_wrapper_old_format_and_views(tmp_path, state):
    torch.save({"state_dict": state}, tmp_path / "a.pt")
    assert_same(files.read_tensors(tmp_path / "a.pt"), state)
    torch.save(state, tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    assert_same(files.read_tensors(tmp_path / "b.pth"), state)
    views = {"t": state["half"].T, "b": state["brain"].T}
    torch.save(views, tmp_path / "c.bin")
    assert_same(files.read_tensors(tmp_path / "c.bin"), views)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
@pytest.mark.parametrize("keep", [0, 5, 200, -3])
def test_cut_off_files(tmp_path, state, name, keep):
    path = tmp_path / name
    save_file(state, path) if name.endswith("safetensors") else torch.save(state, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"not a complete .* download it again"):
        files.read_tensors(path)


def test_pickles_hold_tensors_only(tmp_path):
    torch.save({"a": torch.zeros(2), "step": 3}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"\['step'\] beside tensors"):
        files.read_tensors(tmp_path / "a.pt")
    torch.save({"a": tmp_path}, tmp_path / "b.pt")  # needs code from the file
    with pytest.raises(UserError, match="plain tensors"):
        files.read_tensors(tmp_path / "b.pt")


def test_pickles_without_pytorch(tmp_path, state, monkeypatch):
    torch.save(state, tmp_path / "a.pt")
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name == "torch":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UserError, match="PyTorch is not installed"):
        files.read_tensors(tmp_path / "a.pt")


def test_nothing_to_read(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        files.read_tensors(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no weights"):
        files.read_tensors(tmp_path)
    for name in ("one.bin", "two.bin"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"holds \['one.bin', 'two.bin'\]"):
        files.read_tensors(tmp_path)


def test_json(tmp_path):
    (tmp_path / "a.json").write_text("{'x'")
    (tmp_path / "b.json").write_text("[]")
    for name, message in (("a", "is not JSON"), ("b", "expected a JSON object"), ("c", "no such file")):
        with pytest.raises(UserError, match=message):
            read_json(tmp_path / f"{name}.json")


def test_what_we_write_others_read(tmp_path, state):
    save_file(state, tmp_path / "in.safetensors")
    tensors = files.read_tensors(tmp_path / "in.safetensors")
    files.write_tensors(tmp_path / "new" / "out.safetensors", tensors)
    back = load_file(tmp_path / "new" / "out.safetensors")
    assert set(back) == set(state) and all(torch.equal(back[key], state[key]) for key in state)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out.safetensors"]
    strided = np.arange(6, dtype=np.float32).reshape(2, 3).T
    files.write_tensors(tmp_path / "strided.safetensors", {"x": strided})
    np.testing.assert_array_equal(load_file(tmp_path / "strided.safetensors")["x"].numpy(), strided)
