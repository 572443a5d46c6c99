"""Parts of a checkpoint: numbers that are not finite, odd files on either side, what is kept and what is redone."""

import json
import os

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from vp_jax import checkpoint
from vp_jax.convert import parts
from vp_jax.digests import Damaged
from vp_jax.errors import UserError

WEIGHTS = "diffusion_pytorch_model.safetensors"
KEY = "transformer_blocks.{}.attn1.to_q.weight"


def source(golden, tmp_path, change, part="transformer"):
    """The reference's transformer with other values."""
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    tensors = {key: value.astype(np.float32) for key, value in load_file(golden / part / WEIGHTS).items()}
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    (folder / "config.json").write_bytes((golden / part / "config.json").read_bytes())
    return folder


def refused(action, *args, **options):
    with pytest.raises(UserError) as caught:
        action(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("value, words", [(np.nan, "1 NaN"), (np.inf, "1 infinite"), (-np.inf, "1 infinite")])
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16, None], ids=str)
def test_numbers_that_are_not_finite_are_named_per_tensor(golden, tmp_path, value, words, dtype):
    def change(tensors):
        tensors[KEY.format(2)][1, 3] = value
        tensors["proj_out.bias"][0] = value

    folder = source(golden, tmp_path, change)
    message = refused(parts.convert, "transformer", folder, tmp_path / "out", dtype)
    assert "2 tensors hold numbers that are not finite" in message
    assert f"{KEY.format(2)}: {words} of 1024 numbers" in message and f"proj_out.bias: {words} of " in message
    # nothing that looks like a model stays behind, and a rerun with the right file works
    assert not parts.is_complete(tmp_path / "out") and not (tmp_path / "out" / "params").exists()
    parts.convert("transformer", golden / "transformer", tmp_path / "out", dtype)
    assert parts.is_complete(tmp_path / "out")


def test_several_counts_and_layers_as_one(golden, tmp_path):
    def change(tensors):
        for layer in range(4):
            tensors[KEY.format(layer)][:2] = np.nan
        tensors[KEY.format(0)][3, 0] = np.inf

    message = refused(parts.convert, "transformer", source(golden, tmp_path, change), tmp_path / "out")
    assert "4 tensors" in message and f"{KEY.format(0)}: 64 NaN and 1 infinite of 1024" in message
    assert f"{KEY.format(1)}: 64 NaN of 1024 numbers (and 2 more like it)" in message


def test_numbers_too_large_for_the_type(golden, tmp_path):
    folder = source(golden, tmp_path, lambda tensors: tensors[KEY.format(1)].__setitem__((0, 0), 1e5))
    message = refused(parts.convert, "transformer", folder, tmp_path / "out", np.float16)
    assert f"{KEY.format(1)}: 1 of 1024 numbers overflow float16" in message
    parts.convert("transformer", folder, tmp_path / "out", ml_dtypes.bfloat16)


def test_tensors_that_the_model_does_not_use_may_hold_anything(golden, tmp_path):
    folder = source(golden, tmp_path, lambda tensors: tensors["norm_final.weight"].fill(np.nan), "branch")
    parts.convert("branch", folder, tmp_path / "out")
    parts.export("branch", tmp_path / "out", tmp_path / "back")
    assert np.isnan(load_file(tmp_path / "back" / WEIGHTS)["norm_final.weight"]).all()


def test_numbers_of_an_adapter(tmp_path):
    key = "transformer.transformer_blocks.0.attn1.to_q.lora_{}.weight"
    tensors = {key.format("A"): np.ones((2, 3), np.float32), key.format("B"): np.full((5, 2), 1e5, np.float32)}
    save_file(tensors, tmp_path / "a.safetensors")
    parts.convert("lora", tmp_path / "a.safetensors", tmp_path / "out")
    message = refused(parts.convert, "lora", tmp_path / "a.safetensors", tmp_path / "half", np.float16)
    assert "blocks/attn/to_q/lora_b: 10 of 10 numbers overflow float16" in message
    tensors[key.format("A")][0, 0] = np.nan
    save_file(tensors, tmp_path / "a.safetensors")
    assert "lora_a: 1 NaN of 6 numbers" in refused(parts.convert, "lora", tmp_path / "a.safetensors", tmp_path / "b")
    for options in ({"scale": float("nan")}, {"scale": 1e9}, {"num_layers": 0}, {"num_layers": 10**9}):
        assert "expected" in refused(parts.convert, "lora", tmp_path / "a.safetensors", tmp_path / "b", **options)


def test_doubles_are_kept_as_the_widest_floats_that_jax_has(golden, tmp_path):
    folder = source(golden, tmp_path, lambda tensors: None)
    tensors = {key: value.astype(np.float64) for key, value in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS)
    parts.convert("transformer", folder, tmp_path / "out")
    assert checkpoint.load_config(tmp_path / "out")["param_dtype"] == "float32"
    checkpoint.verify(tmp_path / "out")


@pytest.mark.parametrize("name", ["config.json", WEIGHTS])
def test_pipes_in_the_original_do_not_block(golden, tmp_path, name):
    folder = source(golden, tmp_path, lambda tensors: None)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    message = refused(parts.convert, "transformer", folder, tmp_path / "out")
    assert "is a pipe" in message or "holds no weights" in message


@pytest.mark.slow
def test_pipes_in_our_folder_do_not_block(golden, tmp_path):
    parts.convert("vae", golden / "vae", tmp_path / "out")
    for name in ("config.json", "torch_config.json", "digests.json"):
        (tmp_path / "out" / name).rename(tmp_path / "kept")
        os.mkfifo(tmp_path / "out" / name)
        assert f"{name} is a pipe" in refused(parts.export, "vae", tmp_path / "out", tmp_path / "back")
        assert parts.is_complete(tmp_path / "out") == (name == "torch_config.json")
        (tmp_path / "out" / name).unlink()
        (tmp_path / "kept").rename(tmp_path / "out" / name)


def test_a_part_whose_files_were_cut_off_is_not_complete(golden, tmp_path):
    parts.convert("vae", golden / "vae", tmp_path / "out")
    assert parts.is_complete(tmp_path / "out")
    largest = max((p for p in (tmp_path / "out" / "params").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = largest.read_bytes()
    largest.write_bytes(data[:-1])
    assert not parts.is_complete(tmp_path / "out")
    with pytest.raises(Damaged, match=f"bytes, expected {len(data)}"):
        parts.export("vae", tmp_path / "out", tmp_path / "back")


@pytest.mark.parametrize("name", ["torch_config.json", "unused.safetensors"])
def test_side_files_are_verified_when_they_are_exported(golden, tmp_path, name):
    parts.convert("branch", golden / "branch", tmp_path / "out")
    data = bytearray((tmp_path / "out" / name).read_bytes())
    data[-3] = ord("9") if name.endswith(".json") else data[-3] ^ 1
    if name.endswith(".json"):
        data = json.dumps({**json.loads((tmp_path / "out" / name).read_text()), "sample_height": 99}).encode()
    (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(Damaged, match=f"{name} is not what was written"):
        parts.export("branch", tmp_path / "out", tmp_path / "back")


def test_a_tokenizer_is_copied_with_digests(golden, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("spiece.model", "tokenizer_config.json"):
        (tmp_path / "in" / name).write_bytes(name.encode())
    os.mkfifo(tmp_path / "in" / "pipe")
    report = parts.copy_tokenizer(tmp_path / "in", tmp_path / "out")
    assert report.note == "2 files copied"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "digests.json",
        "spiece.model",
        "tokenizer_config.json",
    ]
    (tmp_path / "out" / "spiece.model").write_bytes(b"spiece.modem")
    with pytest.raises(Damaged, match="spiece"):
        parts.copy_tokenizer(tmp_path / "out", tmp_path / "again")


def test_a_refusal_while_reading_is_no_refusal_to_write(golden, tmp_path, monkeypatch):
    folder = source(golden, tmp_path, lambda tensors: None)
    real = type(folder).open

    def denied(self, *args, **kwargs):
        if self.name == WEIGHTS and self.parent == folder:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(type(folder), "open", denied)
    message = refused(parts.convert, "transformer", folder, tmp_path / "out")
    assert message == f"{folder / WEIGHTS} cannot be read (Permission denied)"
