"""Prefixes of wrappers are removed and reported; faults are grouped by their pattern."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from vp_jax import checkpoint, trees
from vp_jax.convert import parts
from vp_jax.convert.kinds import MODELS
from vp_jax.convert.names import by_pattern, unwrap
from vp_jax.errors import UserError

WEIGHTS = "diffusion_pytorch_model.safetensors"
PREFIXES = [
    "module.",
    "_orig_mod.",
    "model.",
    "model.diffusion_model.",
    "transformer.",
    "base_model.model.",
    "state_dict.",
    "ema_model.",
    "pipe.dit.",
    "module._orig_mod.",
    "module.module.",
    "_orig_mod.module.model.diffusion_model.",
    "base_model.model.transformer.",
    "_fsdp_wrapped_module.",
]
BLOCKS = [
    "transformer_blocks.{}._checkpoint_wrapped_module.",
    "transformer_blocks.{}._orig_mod.",
    "transformer_blocks.{}._fsdp_wrapped_module._checkpoint_wrapped_module.",
    "module.transformer_blocks.{}.module.",
]


def converted(folder, tensors, golden, tmp_path):
    folder.mkdir()
    save_file(tensors, folder / WEIGHTS)
    (folder / "config.json").write_bytes((golden / "transformer" / "config.json").read_bytes())
    return parts.convert("transformer", folder, tmp_path / "ours", np.float32)


@pytest.fixture(scope="module")
def stored(golden):
    return load_file(golden / "transformer" / WEIGHTS)


@pytest.fixture(scope="module")
def plain(golden, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    parts.convert("transformer", golden / "transformer", folder / "ours", np.float32)
    return trees.flatten(checkpoint.load_params(folder / "ours"))


def assert_equal(tmp_path, plain):
    got = trees.flatten(checkpoint.load_params(tmp_path / "ours"))
    assert got.keys() == plain.keys()
    for path in plain:
        np.testing.assert_array_equal(got[path], plain[path], err_msg=path)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_of_all_names_is_removed_and_reported(prefix, stored, plain, golden, tmp_path):
    report = converted(tmp_path / "in", {prefix + key: value for key, value in stored.items()}, golden, tmp_path)
    assert report.note.startswith("names without '")
    assert all(part in report.note for part in prefix.split("."))
    assert_equal(tmp_path, plain)


@pytest.mark.parametrize("block", BLOCKS)
def test_wrappers_around_every_block_are_removed(block, stored, plain, golden, tmp_path):
    def wrapped(key):
        head, number, rest = key.split(".", 2) if key.startswith("transformer_blocks.") else ("", "", key)
        return block.format(number) + rest if head else key

    report = converted(tmp_path / "in", {wrapped(key): value for key, value in stored.items()}, golden, tmp_path)
    assert report.note.startswith("names without ")
    assert_equal(tmp_path, plain)


def test_names_as_they_should_be_are_left_alone(stored):
    unwrapped = unwrap(stored, MODELS["transformer"].knows)
    assert unwrapped.names == {key: key for key in stored} and unwrapped.note == ""


@pytest.mark.slow
def test_a_real_wrapper_of_pytorch(golden, tmp_path, stored, plain):
    class Holder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for key, value in stored.items():
                self.register_buffer(key.replace(".", "/"), torch.from_numpy(value))

    wrapped = torch.nn.DataParallel(torch.compile(Holder())).state_dict()
    folder = tmp_path / "in"
    folder.mkdir()
    torch.save({key.replace("/", "."): value for key, value in wrapped.items()}, folder / "pytorch_model.bin")
    (folder / "config.json").write_bytes((golden / "transformer" / "config.json").read_bytes())
    report = parts.convert("transformer", folder, tmp_path / "ours", np.float32)
    assert "'module.'" in report.note or "_orig_mod" in report.note
    assert_equal(tmp_path, plain)


def test_two_copies_do_not_become_one(stored, golden, tmp_path):
    """A model and its moving average in one file: which of them is wanted is not guessed."""
    tensors = {**stored, **{f"ema.{key}": value for key, value in stored.items()}}
    with pytest.raises(UserError, match=r"- ema\.\S+: no rule matches"):
        converted(tmp_path / "in", tensors, golden, tmp_path)
    only = {f"{prefix}.{key}": value for prefix in ("model", "ema") for key, value in stored.items()}
    (tmp_path / "in" / WEIGHTS).unlink()
    (tmp_path / "in" / "config.json").unlink()
    (tmp_path / "in").rmdir()
    with pytest.raises(UserError, match=r"- model\.\S+: no rule matches"):
        converted(tmp_path / "in", only, golden, tmp_path)


def test_names_that_the_prefix_does_not_help_keep_their_names():
    known = {"a.weight", "b.weight", "b.bias"}.__contains__
    got = unwrap(["module.a.weight", "module.b.weight", "other.b.bias", "module.c", "d"], known)
    assert got.names == {
        "module.a.weight": "a.weight",
        "module.b.weight": "b.weight",
        "other.b.bias": "other.b.bias",
        "module.c": "module.c",
        "d": "d",
    }
    assert got.note == "names without 'module.'"
    # no two names become one
    got = unwrap(["module.a.weight", "a.weight", "module.module.a.weight"], known)
    assert sorted(got.names.values()) == ["a.weight", "module.a.weight", "module.module.a.weight"]
    assert unwrap([], known).names == {}


def test_faults_of_a_pattern_are_one(stored, golden, tmp_path):
    tensors = {key.replace("to_q", "query").replace("norm1", "norm_a"): value for key, value in stored.items()}
    with pytest.raises(UserError) as caught:
        converted(tmp_path / "in", tensors, golden, tmp_path)
    message = str(caught.value)
    assert "- transformer_blocks.0.attn1.query.weight: no rule matches (and 3 more like it)" in message
    assert message.count("; ") < 10 + 1 and "\n" not in message and len(message) < 3000


def test_ten_patterns_at_most_the_most_frequent_first():
    faults = [f"- {letter}.{i}: unknown" for letter in "abcdefghijklmno" for i in range(1 + (letter == "o"))]
    line = by_pattern(faults)
    assert line.startswith("- o.0: unknown (and 1 more like it); - a.0: unknown; ")
    assert line.endswith("; ... and 5 others") and line.count("; ") == 10
    assert by_pattern(["- \x1b[2Jx: unknown"]) == "- \\x1b[2Jx: unknown"
    assert by_pattern([]) == ""
