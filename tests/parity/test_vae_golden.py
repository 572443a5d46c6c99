"""The VAE against outputs of the PyTorch reference (``golden/vae*``), weights through the conversion table."""

import functools
import json

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from convert import engine
from convert import vae as table
from tests.compare import relative_error
from vp_jax import trees
from vp_jax.models.vae.vae import VAE


def channels_last(x):
    return np.moveaxis(x.astype(np.float32), 1, -1)


@pytest.fixture(scope="module")
def model(golden):
    folder = golden / "vae"
    cfg = table.config_from_torch(json.loads((folder / "config.json").read_text()))
    graphdef, abstract = trees.abstract(lambda: VAE(cfg, rngs=nnx.Rngs(0)))
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    params = engine.to_ours(weights, table.RULES, table.IGNORED, abstract, np.float32)
    return functools.partial(nnx.merge, graphdef), params


@pytest.mark.parametrize("frames", [1, 9, 17])
def test_encode(golden, model, frames):
    merge, params = model
    case = np.load(golden / f"vae_{frames}f.npz")
    posterior = jax.jit(lambda p, x: merge(p).encode(x))(params, channels_last(case["video"]))
    assert relative_error(posterior.mean_BThwC, channels_last(case["mean"])) <= 1e-5
    assert relative_error(posterior.std_BThwC, channels_last(case["std"])) <= 1e-5


@pytest.mark.parametrize("frames", [1, 9, 17])
def test_decode(golden, model, frames):
    merge, params = model
    case = np.load(golden / f"vae_{frames}f.npz")
    # the reference decodes one latent frame to 8 equal frames, we to one
    want = channels_last(case["decoded"])[:, :frames]
    got = jax.jit(lambda p, z: merge(p).decode(z))(params, channels_last(case["latents"]))
    assert relative_error(got, want) <= 1e-5
