"""The VAE's table both ways, and its description: defaults are the original's, features nobody has are refused."""

import inspect
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from vp_jax.convert import engine, vae
from vp_jax.convert.kinds import MODELS
from vp_jax.errors import UserError


def test_tensors_there_and_back(golden):
    cfg = vae.config_from_torch(json.loads((golden / "vae" / "config.json").read_text()))
    stored = load_file(golden / "vae" / MODELS["vae"].weights)
    tree = engine.to_ours(stored, vae.RULES, vae.IGNORED, MODELS["vae"].abstract(cfg))
    back = engine.to_torch(tree, vae.RULES)
    assert back.keys() == stored.keys()
    for key, value in stored.items():
        np.testing.assert_array_equal(back[key], value, err_msg=key)


def test_defaults_are_the_originals():
    from diffusers import AutoencoderKLCogVideoX

    signature = inspect.signature(AutoencoderKLCogVideoX).parameters
    defaults = {key: parameter.default for key, parameter in signature.items()}
    assert vae.config_from_torch({}) == vae.config_from_torch(defaults)
    assert vae.VAE_FIELDS.defaults.items() <= defaults.items() and vae.VAE_FIELDS.fixed.items() <= defaults.items()
    known = {*vae.VAE_FIELDS.fields, *vae.VAE_FIELDS.fixed, *vae.VAE_FIELDS.inert, "down_block_types", "up_block_types"}
    assert set(defaults) <= known


def test_descriptions_there_and_back():
    cfg = vae.config_from_torch(
        {"block_out_channels": [8, 16], "norm_num_groups": 4, "temporal_compression_ratio": 2.0}
    )
    assert cfg.channels == (8, 16) and cfg.temporal_stride == 2
    values = vae.config_to_torch(cfg)
    assert values["down_block_types"] == ["CogVideoXDownBlock3D"] * 2
    assert vae.config_from_torch(json.loads(json.dumps(values))) == cfg


@pytest.mark.parametrize(
    "values, message",
    [
        ({"use_quant_conv": True}, "use_quant_conv = True: expected False"),
        ({"use_quant_conv": 1}, "use_quant_conv = 1: expected False"),
        ({"shift_factor": 0.1}, "shift_factor = 0.1: expected None"),
        ({"latents_mean": [0.0]}, "latents_mean"),
        ({"act_fn": "gelu"}, "act_fn = 'gelu': expected 'silu'"),
        ({"down_block_types": ["CogVideoXDownBlock3D", "Other"]}, "down_block_types"),
        ({"up_block_types": 3}, "up_block_types = 3: expected CogVideoXUpBlock3D alone"),
        ({"brand_new": True}, "VAE config has brand_new True: this model has no such feature"),
        ({"block_out_channels": [8, "x"]}, r"block_out_channels \[8, 'x'\]: expected a whole number"),
        ({"block_out_channels": [5]}, "temporal_stride 4: expected a power of 2"),
        ({"norm_num_groups": 0}, "norm_num_groups 0: expected a whole number, 1 to"),
        ({"norm_num_groups": 7}, "multiples of the 7 norm groups"),
        ({"scaling_factor": 0}, "scaling_factor 0: expected a number, above 0"),
        ({"scaling_factor": "1"}, "scaling_factor '1': expected a number"),
        ({"sample_height": 10**9}, "sample_height 1000000000"),
        ({"temporal_compression_ratio": 2.5}, "temporal_compression_ratio 2.5: expected a whole number"),
    ],
)
def test_odd_values_are_named(values, message):
    with pytest.raises(UserError, match=message) as caught:
        vae.config_from_torch(values)
    assert "\n" not in str(caught.value)


def test_switches_that_are_off_are_harmless():
    assert vae.config_from_torch({"brand_new": None, "other": False, "force_upcast": True}) == vae.config_from_torch({})
