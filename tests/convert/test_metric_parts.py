"""A network of scores, from public files to a folder that scores read."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.torchvision_ops import lpips
from vp_jax import checkpoint, trees
from vp_jax.cli.convert import METRIC_NETWORKS
from vp_jax.convert.main import convert_one
from vp_jax.convert.metrics import METRICS
from vp_jax.errors import UserError
from vp_jax.models.metrics.lpips import LpipsConfig


@pytest.fixture(scope="module")
def squeeze(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squeeze")
    package = lpips.LPIPS(net="squeeze", pnet_rand=True, pretrained=False, verbose=False)
    state = {key: value.numpy() for key, value in package.state_dict().items()}
    save_file({key: value for key, value in state.items() if not key.startswith("lins.")}, folder / "a.safetensors")
    return folder, state


def test_the_command_knows_every_network():
    assert tuple(METRICS) == METRIC_NETWORKS


def test_a_converted_network_keeps_its_values(squeeze, tmp_path, capsys):
    source, state = squeeze
    convert_one("lpips_squeeze", source, tmp_path / "out")
    assert checkpoint.load_config(tmp_path / "out") == {"kind": "lpips", "net": "squeeze"}
    stored = trees.flatten(checkpoint.load_params(tmp_path / "out"))
    np.testing.assert_array_equal(stored["head6"].reshape(-1), state["lin6.model.1.weight"].reshape(-1))
    assert "lpips_squeeze" in capsys.readouterr().out
    convert_one("lpips_squeeze", source, tmp_path / "out")
    assert LpipsConfig.kind == "lpips"


def test_a_folder_with_something_else_is_left_alone(squeeze, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"kind": "vae"}))
    with pytest.raises(UserError, match="holds something else than a lpips"):
        convert_one("lpips_squeeze", squeeze[0], tmp_path)


def test_a_clip_without_its_tokenizer_is_refused(tmp_path):
    from tests.models.metrics.tiny_clip import tiny_clip

    model = tiny_clip()
    source = tmp_path / "source"
    source.mkdir()
    save_file({key: value.numpy() for key, value in model.state_dict().items()}, source / "model.safetensors")
    (source / "config.json").write_text(json.dumps(model.config.to_dict()))
    with pytest.raises(UserError, match=r"no vocab.json in .*: a clip needs vocab.json, merges.txt"):
        convert_one("clip", source, tmp_path / "out")
    for name in ("vocab.json", "merges.txt"):
        (source / name).write_text("{}")
    convert_one("clip", source, tmp_path / "out")
    assert (tmp_path / "out" / "merges.txt").is_file()
    assert checkpoint.load_config(tmp_path / "out")["layers"] == 2
