"""The context encoder's table: channels of its patches, the tensors that nobody reads, switches that are refused."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from vp_jax import trees
from vp_jax.convert import branch, engine
from vp_jax.convert.kinds import MODELS
from vp_jax.errors import UserError

FOLDERS = {"branch": 33, "branch_t2v": 33, "branch_t2v_sincos": 33}


@pytest.fixture(params=FOLDERS)
def folder(request, golden):
    return golden / request.param


def test_patches_hold_noise_masked_video_and_mask(folder):
    values = json.loads((folder / "config.json").read_text())
    cfg = branch.config_from_torch(values)
    assert cfg.dit.in_channels == FOLDERS[folder.name] == 2 * values["out_channels"] + 1
    again = branch.config_to_torch(cfg)
    assert again["in_channels"] == values["in_channels"] and again["_class_name"] == values["_class_name"]
    assert branch.config_from_torch(again) == cfg


def test_every_tensor_is_used_once_or_ignored_knowingly(folder):
    cfg = branch.config_from_torch(json.loads((folder / "config.json").read_text()))
    stored = load_file(folder / MODELS["branch"].weights)
    leaves, ignored = engine.plan(stored, branch.RULES, branch.IGNORED, MODELS["branch"].abstract(cfg))
    assert {key.split(".")[0] for key in ignored} == {"norm_final", "norm_out", "proj_out", "branch_x_embedder"}
    assert sum(len(leaf.moves) for leaf in leaves.values()) + len(ignored) == len(stored)
    tree = trees.unflatten({path: leaf.fill(stored, np.empty(leaf.shape, leaf.dtype)) for path, leaf in leaves.items()})
    back = engine.to_torch(tree, branch.RULES, branch.torch_shapes(cfg))
    for key, value in back.items():
        np.testing.assert_array_equal(value, stored[key], err_msg=key)


def test_made_up_tensors_have_the_shapes_of_real_ones(folder):
    cfg = branch.config_from_torch(json.loads((folder / "config.json").read_text()))
    stored = load_file(folder / MODELS["branch"].weights)
    made = branch.unused_tensors(cfg, np.float32)
    assert made.keys() == {key for key in stored if not any(rule.place(key) for rule in branch.RULES)}
    assert all(made[key].shape == stored[key].shape for key in made)
    assert np.all(made["norm_final.weight"] == 1) and not made["proj_out.weight"].any()


@pytest.mark.parametrize("key", ["wo_text", "id_pool_resample_learnable"])
@pytest.mark.parametrize("value", [True, 1, "yes", [1]], ids=str)
def test_switches_that_no_released_encoder_has(key, value):
    with pytest.raises(UserError, match=f"branch config {key} = .* is not supported, expected false"):
        branch.config_from_torch({key: value})


def test_values_of_the_wrong_type_are_named():
    with pytest.raises(UserError, match="branch config: num_layers 'x': expected a whole number"):
        branch.config_from_torch({"num_layers": "x"})
