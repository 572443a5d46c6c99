"""The tiny VAE with random weights: graph definition and parameters."""

import jax
import numpy as np
import pytest
from flax import nnx

from tests.models.vae.tiny import TINY
from vp_jax import trees
from vp_jax.models.vae import vae


@pytest.fixture(scope="session")
def tiny() -> tuple[nnx.GraphDef, trees.Tree]:
    graphdef, abstract = trees.abstract(lambda: vae.VAE(TINY, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(7)

    def draw(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 25
        return (rng.standard_normal(leaf.shape) / np.sqrt(fan_in)).astype(np.float32) + (leaf.shape == (8,))

    return graphdef, jax.tree.map(draw, abstract)
