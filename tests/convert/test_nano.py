"""The shipped model: its parts exported to the original layout and converted back, bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest

import vp_jax
from vp_jax import checkpoint, trees
from vp_jax.convert import layout, parts
from vp_jax.convert.kinds import KINDS, MODELS
from vp_jax.errors import UserError
from vp_jax.models import config
from vp_jax.models.tokenizer import Tokenizer

NANO = Path(next(iter(vp_jax.__path__))) / "nano"
PARTS = sorted(path.name for path in NANO.iterdir() if path.is_dir() and path.name != "tokenizer")
PORTABLE = [part for part in PARTS if part != "vae"]
"""Parts that have a layout in PyTorch; nano's autoencoder of blocks has none."""


def test_nano_has_every_part():
    assert set(PARTS) == set(layout.PARTS) - {"tokenizer"} and set(PARTS) < set(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("part", PORTABLE)
def test_there_and_back(part, tmp_path):
    parts.export(part, NANO / part, tmp_path / "original")
    report = parts.convert(part, tmp_path / "original", tmp_path / "back")
    assert report.seconds >= 0
    before, after = (config.from_json(checkpoint.load_config(folder)) for folder in (NANO / part, tmp_path / "back"))
    stored = "bfloat16"
    if part in MODELS:
        before = parts.with_param_dtype(before, stored)  # nano's weights are bfloat16, its description says float32
    assert after == before
    if part == "scheduler":
        return
    checkpoint.verify(tmp_path / "back")
    want, got = (trees.flatten(checkpoint.load_params(folder)) for folder in (NANO / part, tmp_path / "back"))
    assert got.keys() == want.keys() and want
    for path in want:
        assert got[path].dtype == want[path].dtype == stored
        assert np.asarray(got[path]).tobytes() == np.asarray(want[path]).tobytes(), path


@pytest.mark.slow
@pytest.mark.parametrize("part", PORTABLE)
def test_the_export_itself_is_stable(part, tmp_path):
    """Exported again after the way back, the files are the same."""
    parts.export(part, NANO / part, tmp_path / "first")
    parts.convert(part, tmp_path / "first", tmp_path / "back")
    parts.export(part, tmp_path / "back", tmp_path / "second")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("first", "second"))
    assert first.keys() == second.keys()
    for name in first:
        if name.endswith(".json"):
            assert json.loads(first[name]) == json.loads(second[name])
        else:
            assert first[name] == second[name]


def test_an_autoencoder_of_blocks_has_no_original_layout(tmp_path):
    with pytest.raises(
        UserError, match="vae: an autoencoder of blocks has no PyTorch layout, only one of convolutions"
    ):
        parts.export("vae", NANO / "vae", tmp_path / "original")


def test_the_tokenizer(tmp_path):
    for source, target in ((NANO / "tokenizer", tmp_path / "a"), (tmp_path / "a", tmp_path / "b")):
        parts.copy_tokenizer(source, target)
    assert (tmp_path / "b" / "spiece.model").read_bytes() == (NANO / "tokenizer" / "spiece.model").read_bytes()
    assert (tmp_path / "b" / "digests.json").read_bytes() == (tmp_path / "a" / "digests.json").read_bytes()
    ids = Tokenizer(tmp_path / "b" / "spiece.model").encode(["a red circle"], 24)
    np.testing.assert_array_equal(ids, Tokenizer(NANO / "tokenizer" / "spiece.model").encode(["a red circle"], 24))


@pytest.mark.parametrize("part", PARTS)
def test_the_shipped_folder_is_what_its_digests_say(part):
    checkpoint.verify(NANO / part)
