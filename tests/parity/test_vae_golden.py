"""The VAE against outputs of the PyTorch reference (``golden/vae*``), weights through the conversion table."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx

from tests.compare import GOLDEN, relative_error
from tests.parity import reference as ref

CASES = sorted(path.stem for path in GOLDEN.glob("vae_*.npz"))


def test_the_folder_holds_clips():
    if not CASES:
        ref.needed(GOLDEN / "vae_*.npz")
    assert CASES


def channels_last(x):
    return np.moveaxis(x, 1, -1)


@pytest.fixture(scope="module")
def model(golden):
    _, graphdef, params = ref.vae(golden)
    return functools.partial(nnx.merge, graphdef), params


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_encode(golden, model, name):
    merge, params = model
    case = ref.arrays(golden / f"{name}.npz")
    posterior = jax.jit(lambda p, x: merge(p).encode(x))(params, channels_last(case["video"]))
    assert relative_error(posterior.mean_BThwC, channels_last(case["mean"])) <= 1e-5
    assert relative_error(posterior.std_BThwC, channels_last(case["std"])) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_decode(golden, model, name):
    merge, params = model
    case = ref.arrays(golden / f"{name}.npz")
    # the reference decodes one latent frame to 8 equal frames, we to one
    want = channels_last(case["decoded"])
    want = want[:, :1] if case["latents"].shape[2] == 1 else want
    got = jax.jit(lambda p, z: merge(p).decode(z))(params, channels_last(case["latents"]))
    assert relative_error(got, want) <= 1e-5
