"""Model folders that are damaged, incomplete or of another kind: one line, and no wrong weights."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from vp_jax import checkpoint, digests, sharding
from vp_jax.digests import Damaged
from vp_jax.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    weights = {"a": {"kernel": rng.random((64, 64), np.float32)}, "b": {"bias": rng.random(5000).astype(np.float32)}}
    checkpoint.save_params(tmp_path / "model", weights, {"kind": "vae"})
    return tmp_path / "model"


def test_a_folder_of_another_kind(folder):
    assert checkpoint.load_config(folder, "vae") == checkpoint.load_config(folder) == {"kind": "vae"}
    with pytest.raises(UserError, match=r"holds a model of kind vae, not lora: .* convert one lora FILE FOLDER"):
        checkpoint.load_config(folder, "lora")


@pytest.mark.parametrize("text", [b"", b"{", b"3", b"[]", b"{}", b"\xff\xfe\x00"], ids=str)
def test_broken_descriptions(folder, text):
    (folder / "config.json").write_bytes(text)
    with pytest.raises(UserError, match=r"config\.json (is not JSON|has no 'kind')") as caught:
        checkpoint.load_config(folder)
    assert "\n" not in str(caught.value)


LOAD = """
import sys
from vp_jax import checkpoint
from vp_jax.errors import UserError
for folder in sys.argv[1:]:
    try:
        checkpoint.load_params(folder)
    except UserError as error:
        print(error)
"""


def test_damaged_weights(folder, tmp_path):
    """In a process of its own: Orbax leaves failed reads behind that complain when they are collected."""
    harmed = []
    for name in ("_METADATA", "manifest.ocdbt", "d"):
        for half in (False, True):
            harmed.append(tmp_path / f"{name} {half}")
            shutil.copytree(folder, harmed[-1])
            for file in (harmed[-1] / "params").rglob("*"):
                if file.is_file() and name in (file.name, file.parent.name):
                    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2 if half else 0])
    command = [sys.executable, "-c", LOAD, *map(str, harmed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    lines = done.stdout.splitlines()
    assert len(lines) == len(harmed), done.stderr
    for path, line in zip(harmed, lines):
        assert re.fullmatch(rf"{path}/params is damaged or incomplete \(.+\): convert or copy it again", line)


def test_no_weights(folder):
    shutil.rmtree(folder / "params")
    with pytest.raises(UserError, match="no params/ in"):
        checkpoint.load_params(folder)


def test_values_that_are_not_those_written(folder, tmp_path):
    """A folder of intact arrays, but of another model: Orbax reads it silently."""
    other = {"a": {"kernel": np.zeros((64, 64), np.float32)}, "b": {"bias": np.zeros(5000, np.float32)}}
    checkpoint.save_params(tmp_path / "other", other, {"kind": "vae"})
    known = json.loads((folder / "digests.json").read_text())
    known["sizes"] = json.loads((tmp_path / "other" / "digests.json").read_text())["sizes"]
    (tmp_path / "other" / "digests.json").write_text(json.dumps(known))
    with pytest.raises(Damaged, match=r"params is damaged .*a/kernel is float32\[64,64\] .*: convert or copy it again"):
        checkpoint.load_params(tmp_path / "other")


def test_a_description_that_was_changed(folder):
    (folder / "config.json").write_text('{"kind": "vae", "scaling_factor": 2}')
    with pytest.raises(Damaged, match=r"config\.json is not what was written: .* on purpose, delete digests\.json"):
        checkpoint.load_config(folder)
    (folder / "digests.json").unlink()
    assert checkpoint.load_config(folder)["scaling_factor"] == 2
    checkpoint.record(folder)
    assert checkpoint.load_config(folder)["scaling_factor"] == 2
    checkpoint.verify(folder)


def test_older_folders_are_read_and_reported_once(folder, tmp_path, caplog):
    shutil.copytree(folder, tmp_path / "old" / "vae")
    shutil.copytree(folder, tmp_path / "old" / "dit")
    for name in ("vae", "dit"):
        (tmp_path / "old" / name / "digests.json").unlink()
    with caplog.at_level(logging.WARNING, "vp_jax"):
        for name in ("vae", "dit", "vae"):
            got = checkpoint.load_params(tmp_path / "old" / name)
    assert [record.message for record in caplog.records] == [
        f"note: {tmp_path}/old/vae has no digests, it was written by an older version: damage to its weights would "
        f"not be noticed"
    ]
    np.testing.assert_array_equal(got["b"]["bias"], checkpoint.load_params(folder)["b"]["bias"])
    with pytest.raises(UserError, match=r"has no digests\.json: it cannot be verified"):
        checkpoint.verify(tmp_path / "old" / "vae")


def test_files_that_are_not_read_are_verified_on_request(folder):
    (folder / "side.bin").write_bytes(b"123")
    digests.record_files(folder, ["side.bin"])
    checkpoint.load_params(folder, verify=True)
    (folder / "side.bin").write_bytes(b"124")
    checkpoint.load_params(folder)
    for action in (checkpoint.verify, lambda folder: checkpoint.load_params(folder, verify=True)):
        with pytest.raises(Damaged, match=r"side\.bin is not what was written"):
            action(folder)
    (folder / "side.bin").unlink()
    with pytest.raises(Damaged, match=r"lacks side\.bin"):
        checkpoint.verify(folder)


def test_a_converted_checkpoint_is_verified_part_by_part(folder, tmp_path):
    root = tmp_path / "all"
    for name in ("branch", "vae"):
        shutil.copytree(folder, root / name)
    assert checkpoint.verify(root) == ["branch", "vae"] and checkpoint.verify(root / "vae") == ["vae"]
    checkpoint.save_config(root / "scheduler", {"kind": "scheduler"})
    assert checkpoint.verify(root) == ["branch", "scheduler", "vae"]
    (root / "scheduler" / "config.json").write_text('{"kind": "scheduler", "snr_shift": 3.0}')
    with pytest.raises(Damaged, match=r"scheduler/config\.json is not what was written"):
        checkpoint.verify(root)
    for odd in (tmp_path / "nowhere", tmp_path / "nothing"):
        (tmp_path / "nothing").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="holds no converted model"):
            checkpoint.verify(odd)


def test_a_pipe_in_the_place_of_a_file_does_not_block(folder):
    (folder / "params" / "manifest.ocdbt").unlink()
    os.mkfifo(folder / "params" / "manifest.ocdbt")
    with pytest.raises(UserError, match=r"manifest\.ocdbt is a pipe"):
        checkpoint.load_params(folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(UserError, match=r"config\.json is a pipe"):
        checkpoint.load_config(folder)


@pytest.mark.parametrize("stored, wanted", [("float32", "bfloat16"), ("bfloat16", "float32"), ("float32", "float16")])
def test_another_type_is_rounded_as_usual(tmp_path, stored, wanted):
    """Ties to even, infinities and denormal numbers included."""
    bits = np.random.default_rng(0).integers(0, 2**32, 4096, dtype=np.uint32)
    bits[:512] = bits[:512] & 0xFFFF0000 | 0x8000  # halfway between two bfloat16
    values = bits.view(np.float32)
    values = np.where(np.isnan(values), np.float32(1), values).astype(stored)
    checkpoint.save_params(tmp_path, {"a": values}, {"kind": "vae"})
    mesh = sharding.make_mesh({"fsdp": 4}, jax.devices()[:4])
    for place in (None, NamedSharding(mesh, PartitionSpec("fsdp"))):
        like = {"a": jax.ShapeDtypeStruct(values.shape, jnp.dtype(wanted), sharding=place)}
        got = checkpoint.load_params(tmp_path, like)["a"]
        with np.errstate(over="ignore"):
            want = values.astype(getattr(ml_dtypes, wanted, None) or wanted)
        assert got.dtype == wanted and (place is None or got.sharding == place)
        np.testing.assert_array_equal(np.asarray(got).view(np.uint8), want.view(np.uint8))


FLIPS = """
import shutil, sys
from pathlib import Path
import numpy as np
from vp_jax import checkpoint, trees
from vp_jax.errors import UserError
source, count = Path(sys.argv[1]), int(sys.argv[2])
files = sorted(path.relative_to(source) for path in source.rglob("*") if path.is_file())

def read(folder):
    return checkpoint.load_config(folder), trees.flatten(checkpoint.load_params(folder, verify=True))

config, want = read(source)
draw, silent, refused = np.random.default_rng(0), [], 0
for number in range(count):
    folder = source.with_name(f"damaged{number}")
    shutil.copytree(source, folder)
    file = files[number % len(files)]
    data = bytearray((folder / file).read_bytes())
    if number % 4 == 3 or not data:
        (folder / file).write_bytes(data[: draw.integers(len(data))] if data else b"")
    else:
        bit = draw.integers(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        (folder / file).write_bytes(data)
    try:
        got_config, got = read(folder)
    except UserError as error:
        assert "\\n" not in str(error)
        refused += 1
    else:
        same = got_config == config and got.keys() == want.keys()
        if not same or any(np.asarray(got[k]).tobytes() != np.asarray(want[k]).tobytes() for k in want):
            silent.append(str(file))
    shutil.rmtree(folder)
print(refused, silent)
"""


@pytest.mark.slow
def test_a_hundred_flips_and_cuts_are_never_read_as_other_values(tmp_path):
    rng = np.random.default_rng(0)
    weights = {f"layer{i}": {"kernel": rng.standard_normal((40, 30)).astype(np.float32)} for i in range(3)}
    checkpoint.save_params(tmp_path / "model", weights, {"kind": "vae", "scaling_factor": 0.7})
    (tmp_path / "model" / "side.json").write_text('{"kept": 1}')
    digests.record_files(tmp_path / "model", ["side.json"])
    command = [sys.executable, "-c", FLIPS, str(tmp_path / "model"), "100"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    refused, silent = done.stdout.split(maxsplit=1)
    assert silent.strip() == "[]" and int(refused) > 50, done.stdout


def test_weights_in_one_file_are_read_verified_and_placed_like_others(folder, tmp_path):
    weights = checkpoint.load_params(folder)
    weights["b"]["half"] = jnp.asarray([1.5, -2.0], jnp.bfloat16)
    checkpoint.save_params(folder, weights, {"kind": "vae"}, in_one_file=True)
    assert [path.name for path in (folder / "params").iterdir()] == ["arrays.safetensors"]
    read = checkpoint.load_params(folder)
    assert read["b"]["half"].dtype == jnp.bfloat16 and isinstance(read["a"]["kernel"], jax.Array)
    jax.tree.map(np.testing.assert_array_equal, read, weights)
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, jnp.float32), weights)
    np.testing.assert_array_equal(checkpoint.load_params(folder, like)["b"]["half"], np.float32([1.5, -2.0]))
    assert checkpoint.verify(folder) == ["model"]
    checkpoint.save_params(tmp_path / "other", weights, {"kind": "vae"})
    checkpoint.save_params(tmp_path / "other", weights, {"kind": "vae"}, in_one_file=True)
    assert checkpoint.verify(tmp_path / "other") == ["other"], "what Orbax had written is gone"
    with pytest.raises(UserError, match=r"does not fit the model: .*b/half: not in the model"):
        checkpoint.load_params(folder, {"a": like["a"], "b": {"bias": like["b"]["bias"]}})


@pytest.mark.parametrize("damage", ["cut off", "a bit"])
def test_damage_to_weights_in_one_file_is_noticed(folder, damage):
    checkpoint.save_params(folder, checkpoint.load_params(folder), {"kind": "vae"}, in_one_file=True)
    file = folder / "params" / "arrays.safetensors"
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data[: len(data) // 2] if damage == "cut off" else data)
    with pytest.raises(Damaged, match=r"params is damaged or incomplete .*: convert or copy it again"):
        checkpoint.load_params(folder)
