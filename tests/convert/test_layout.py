"""Where parts are found, and what is checked before the first one is converted."""

import json
import os
import shutil

import pytest

from vp_jax.convert import layout
from vp_jax.errors import UserError


@pytest.fixture
def flat(golden, tmp_path):
    for part in ("transformer", "branch", "vae", "id_adapter"):
        shutil.copytree(golden / part, tmp_path / part)
    return tmp_path


def test_a_flat_folder(flat):
    found = layout.find_parts(flat)
    assert found == {part: flat / part if (flat / part).is_dir() else None for part in layout.PARTS}
    assert layout.check(found).num_layers == 4


def test_the_original_download(golden, tmp_path):
    base = tmp_path / "CogVideoX-5b-I2V"
    shutil.copytree(golden / "transformer", base / "transformer")
    shutil.copytree(golden / "branch", tmp_path / "VideoPainter" / "checkpoints" / "branch")
    shutil.copytree(golden / "id_adapter", tmp_path / "VideoPainterID" / "checkpoints")
    (tmp_path / "flux" / "transformer").mkdir(parents=True)
    (tmp_path / "flux" / "transformer" / "config.json").write_text('{"_class_name": "FluxTransformer2DModel"}')
    found = layout.find_parts(tmp_path)
    assert found["transformer"] == base / "transformer"
    assert found["branch"] == tmp_path / "VideoPainter" / "checkpoints" / "branch"
    assert found["id_adapter"] == tmp_path / "VideoPainterID" / "checkpoints"
    assert found["vae"] is None


def test_empty_folders_are_absent_parts(flat):
    (flat / "text_encoder").mkdir()
    assert layout.find_parts(flat)["text_encoder"] is None
    shutil.rmtree(flat / "transformer")
    (flat / "transformer").mkdir()
    with pytest.raises(UserError, match="transformer is empty: finish the download"):
        layout.find_parts(flat)


@pytest.mark.parametrize(
    "part, name, text, message",
    [
        ("transformer", "config.json", '{"num_layers": "many"}', "num_layers 'many': expected a whole number"),
        ("transformer", "config.json", '{"num_layers": 0}', "num_layers 0: expected a whole number, 1 to 1024"),
        ("branch", "config.json", "[]", "is not JSON with names and values"),
        ("vae", "config.json", '{"scaling_factor": NaN}', "NaN is not a JSON number"),
        ("vae", "config.json", '{"block_out_channels": []}', "block_out_channels"),
        ("id_adapter", "pytorch_lora_weights.safetensors", "", "not a complete safetensors file"),
    ],
)
def test_faults_are_found_before_long_work(flat, part, name, text, message):
    (flat / part / name).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        layout.check(layout.find_parts(flat))
    assert "\n" not in str(caught.value)


def test_a_context_encoder_of_another_backbone(flat):
    values = json.loads((flat / "branch" / "config.json").read_text())
    (flat / "branch" / "config.json").write_text(json.dumps({**values, "text_embed_dim": 48}))
    with pytest.raises(UserError, match=r"made for another backbone .* text_dim 48 and 24"):
        layout.check(layout.find_parts(flat))


def test_a_tokenizer_needs_its_model(tmp_path):
    with pytest.raises(UserError, match=r"has no spiece\.model"):
        layout.find_tokenizer(tmp_path)
    os.mkfifo(tmp_path / "spiece.model")
    with pytest.raises(UserError, match=r"spiece\.model"):
        layout.find_tokenizer(tmp_path)
