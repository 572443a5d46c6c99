"""Reading every kind of checkpoint file, refusing broken ones, writing what others read."""

import builtins
import json
import os

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


ODD_INDEXES = {
    "numbers": ({"weight_map": {"a": 3}}, r"a: 3"),
    "null": ({"weight_map": {"a": None}}, "a: None"),
    "lists": ({"weight_map": {"a": ["model-00001-of-00002.safetensors"]}}, r"a: \["),
    "dicts": ({"weight_map": {"a": {}}}, r"a: \{\}"),
    "itself": ({"weight_map": {"a": "model.safetensors.index.json"}}, "a: 'model.safetensors.index.json'"),
    "another folder": ({"weight_map": {"a": "../../x.safetensors"}}, r"a: '\.\./\.\./x\.safetensors'"),
    "a folder below": ({"weight_map": {"a": "sub/x.safetensors"}}, "a: 'sub/x.safetensors'"),
    "an absolute name": ({"weight_map": {"a": "/etc/x.safetensors"}}, "a: '/etc/x.safetensors'"),
    "a Windows path": ({"weight_map": {"a": "..\\x.safetensors"}}, r"a: '\.\.\\"),
    "a null byte": ({"weight_map": {"a": "x\0.safetensors"}}, "a: "),
    "nothing": ({"weight_map": {"a": ""}}, "a: ''"),
    "dots": ({"weight_map": {"a": ".."}}, r"a: '\.\.'"),
    "another kind of file": ({"weight_map": {"a": "config.json"}}, "a: 'config.json'"),
    "a long name": ({"weight_map": {"a": "x" * 5000 + ".safetensors"}}, "lacks .* shards"),
    "an empty map": ({"weight_map": {}}, "has no weight_map"),
    "a map that is a list": ({"weight_map": ["a"]}, "has no weight_map"),
    "a list": (["weight_map"], "is not JSON with names and values"),
    "deep nesting": ('{"weight_map": ' * 50_000, "is nested too deeply"),
    "NaN": ('{"weight_map": {"a": NaN}}', "NaN is not a JSON number"),
    "a name twice": ('{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', "'a' is given twice"),
}


@pytest.mark.parametrize("name", ODD_INDEXES)
def test_odd_indexes_are_one_line_and_nothing_outside_is_read(tmp_path, state, name):
    values, message = ODD_INDEXES[name]
    save_file(state, tmp_path / "x.safetensors")
    folder = tmp_path / "one" / "two"
    folder.mkdir(parents=True)
    (folder / "sub").mkdir()
    save_file(state, folder / "sub" / "x.safetensors")
    (folder / "config.json").write_text("{}")
    index = folder / "model.safetensors.index.json"
    index.write_text(values if isinstance(values, str) else json.dumps(values))
    with pytest.raises(UserError, match=message) as caught:
        files.read_tensors(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_many_faults_of_an_index_are_not_many_lines(tmp_path):
    where = {f"t{i}": f"model-{i:05}-of-00500.safetensors" for i in range(500)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    with pytest.raises(UserError, match=r"lacks .* 495 more\] of 500 shards: finish the download") as caught:
        files.read_tensors(tmp_path)
    assert len(str(caught.value)) < 600


def test_a_shard_that_is_a_pipe_does_not_block(tmp_path, state):
    write_shards(tmp_path, state)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    os.mkfifo(tmp_path / "model-00002-of-00002.safetensors")
    with pytest.raises(UserError, match=r"lacks .*00002-of-00002"):
        files.read_tensors(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    os.mkfifo(tmp_path / "model.safetensors.index.json")
    with pytest.raises(UserError, match="is a pipe"):
        files.read_tensors(tmp_path / "model.safetensors.index.json")


@pytest.mark.parametrize("stem", ["diffusion_pytorch_model", "model", "pytorch_model"])
@pytest.mark.parametrize("variant", ["fp16", "bf16", "fp32", "ema", "non_ema"])
@pytest.mark.parametrize(
    "index_name, shard_name",
    [
        ("{stem}.safetensors.index.{variant}.json", "{stem}.{variant}-{i:05}-of-00002.safetensors"),
        ("{stem}.safetensors.index.{variant}.json", "{stem}-{i:05}-of-00002.{variant}.safetensors"),
        ("{stem}.{variant}.safetensors.index.json", "{stem}.{variant}-{i:05}-of-00002.safetensors"),
    ],
)
def test_shards_of_variants(tmp_path, state, stem, variant, index_name, shard_name):
    keys = sorted(state)
    names = [shard_name.format(stem=stem, variant=variant, i=i + 1) for i in range(2)]
    where = {key: names[i % 2] for i, key in enumerate(keys)}
    for name in names:
        save_file({k: state[k] for k in keys if where[k] == name}, tmp_path / name)
    index = tmp_path / index_name.format(stem=stem, variant=variant)
    index.write_text(json.dumps({"weight_map": where}))
    (tmp_path / "config.json").write_text("{}")
    assert_same(files.read_tensors(tmp_path), state)
    assert_same(files.read_tensors(index), state)
    # the plain one is preferred, of two variants one has to be named
    save_file(state, tmp_path / f"{stem}.other.safetensors")
    with pytest.raises(UserError, match="or name the file itself"):
        files.read_tensors(tmp_path)
    save_file({"plain": torch.ones(2)}, tmp_path / f"{stem}.safetensors")
    assert set(files.read_tensors(tmp_path)) == {"plain"}


def test_variants_as_diffusers_writes_them(tmp_path):
    from diffusers import CogVideoXTransformer3DModel

    model = CogVideoXTransformer3DModel(
        2, 8, 4, 4, time_embed_dim=4, text_embed_dim=6, num_layers=2, sample_width=4, sample_height=4
    )
    model.save_pretrained(tmp_path, variant="fp16", max_shard_size="20KB")
    assert list(tmp_path.glob("*.index.fp16.json")) and list(tmp_path.glob("*.fp16-00001-of-*.safetensors"))
    got = files.read_tensors(tmp_path)
    assert got.keys() == model.state_dict().keys()
    for key, want in model.state_dict().items():
        np.testing.assert_array_equal(np.asarray(got[key]), want.numpy())


def test_shards_without_their_index(tmp_path, state):
    write_shards(tmp_path, state)
    (tmp_path / "model.safetensors.index.json").unlink()
    with pytest.raises(UserError, match=r"holds shards without their index .*: finish the download"):
        files.read_tensors(tmp_path)


def test_links_as_in_the_cache_of_the_hub_are_followed(tmp_path, state):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    index = write_shards(blobs, state)
    for number, path in enumerate(sorted(blobs.iterdir())):
        path.rename(blobs / f"blob{number}")
        (snapshot / path.name).symlink_to(f"../../blobs/blob{number}")
    assert_same(files.read_tensors(snapshot / index.name), state)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_name_that_cannot_exist_is_a_file_that_is_not_there(name):
    with pytest.raises(UserError, match="no such file or folder") as caught:
        files.find_weights(name)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
