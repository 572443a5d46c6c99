"""Model folders that are damaged, incomplete or of another kind: one line, and no wrong weights."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vp_jax import checkpoint
from vp_jax.errors import UserError
from vp_jax.models import config

ROOT = Path(__file__).parent.parent


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


def test_descriptions_that_lack_a_field():
    with pytest.raises(UserError, match=r"fields \['num_heads', 'head_dim', 'num_layers'\] of DiTConfig are missing"):
        config.from_json({"kind": "dit"})
    with pytest.raises(UserError, match="of DiTConfig are missing"):
        config.from_json({"kind": "branch"})


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
