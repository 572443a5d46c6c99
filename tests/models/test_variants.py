"""Published descriptions: the sizes of the papers, by shape alone, and the model that ships."""

import dataclasses
import json
import math
from pathlib import Path

import pytest
from flax import nnx

import vp_jax
from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.models import config
from vp_jax.models.branch import Branch
from vp_jax.models.dit import DiT
from vp_jax.models.t5 import T5Encoder
from vp_jax.models.vae.vae import VAE
from vp_jax.models.variants import VARIANTS, variant

MANIFESTS = Path(__file__).parent.parent / "manifests"
NANO = Path(vp_jax.__file__).parent / "nano"


def parameters(model, cfg):
    return trees.count_parameters(lambda: model(cfg, rngs=nnx.Rngs(0)))


def manifest(name):
    return json.loads((MANIFESTS / f"{name}.json").read_text())


@pytest.mark.parametrize(
    "name, stored, count, shift",
    [
        ("cogvideox-5b-i2v", "cogvideox_5b_i2v_transformer", 5_570_479_680, 1.0),
        ("cogvideox-5b", "cogvideox_5b_t2v_transformer", 5_570_283_072, 1.0),
        ("cogvideox-2b", "cogvideox_2b_t2v_transformer", 1_693_783_872, 3.0),
    ],
)
def test_backbones_have_the_published_number_of_parameters(name, stored, count, shift):
    found = variant(name)
    assert parameters(DiT, found.backbone) == manifest(stored)["parameters"] == count
    assert found.schedule.snr_shift == shift


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in VARIANTS if name.startswith("cogvideox")])
def test_their_vae_and_text_encoder_are_the_published_ones(name):
    found = variant(name)
    assert parameters(VAE, found.vae) == 215_583_907
    assert found.t5 is not None and parameters(T5Encoder, found.t5) == 4_762_310_656
    assert found.vae.scaling_factor == (1.15258426 if name == "cogvideox-2b" else 0.7)


@pytest.mark.parametrize("name, kind", [("cogvideox-5b-i2v", "i2v"), ("cogvideox-5b", "t2v")])
def test_context_encoders_have_the_published_number_of_parameters(name, kind):
    """Without the layers that the original stores and never uses."""
    stored = manifest(f"videopainter_branch_{kind}")
    unused = ("norm_final", "norm_out", "proj_out", "branch_x_embedder")
    idle = sum(math.prod(shape) for tensor, shape in stored["tensors"].items() if tensor.startswith(unused))
    assert parameters(Branch, variant(name).branch) == stored["parameters"] - idle


@pytest.mark.parametrize("name", VARIANTS)
def test_a_context_encoder_is_two_blocks_of_its_backbone_on_latents_condition_and_mask(name):
    found = variant(name)
    channels = found.vae.latent_channels
    assert found.branch.dit == dataclasses.replace(found.backbone, num_layers=2, in_channels=2 * channels + 1)
    assert found.backbone.in_channels in (channels, 2 * channels) and found.backbone.out_channels == channels
    if found.t5 is not None:
        assert found.t5.dim == found.backbone.text_dim


def test_the_model_that_ships_is_the_variant_of_its_name():
    found = variant("nano")
    for folder, described in {
        "transformer": found.backbone,
        "branch": found.branch,
        "text_encoder": found.t5,
        "vae": found.vae,
    }.items():
        stored = config.from_json(json.loads((NANO / folder / "config.json").read_text()))
        if folder == "vae":  # these are measured on its latents
            assert len(stored.latent_mean) == len(stored.latent_std) == stored.latent_channels
            stored = dataclasses.replace(stored, latent_mean=(), latent_std=())
        assert stored == described, folder


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match="model 'huge': expected one of cogvideox-5b-i2v, cogvideox-5b, cogvideox-2b"):
        variant("huge")
