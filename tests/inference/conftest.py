"""A pipeline of tiny random models, and a clip of eleven frames for it."""

import jax
import numpy as np
import pytest

from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.models import Models
from vp_jax.inference.pipeline import Pipeline
from vp_jax.models.config import BranchConfig, DiTConfig, VAEConfig

DIT = DiTConfig(
    num_heads=1,
    head_dim=16,
    num_layers=2,
    in_channels=8,
    out_channels=4,
    text_dim=6,
    time_dim=8,
    max_text_len=3,
    sample_height=4,
    sample_width=4,
    sample_frames=5,
)
BRANCH = BranchConfig(DiTConfig(**{**DIT.__dict__, "num_layers": 1, "in_channels": 9}))
VAE_CFG = VAEConfig(latent_channels=4, channels=(4, 4, 4, 4), layers_per_block=1, groups=2)


@pytest.fixture(scope="module")
def pipeline():
    rng = np.random.default_rng(0)

    def weights(path, leaf):
        return (0.3 * rng.standard_normal(leaf.shape) + (path[-1].key == "scale")).astype(np.float32)

    models = Models(DIT, BRANCH, VAE_CFG)
    params = {
        name: jax.tree_util.tree_map_with_path(weights, shapes) for name, (_, shapes) in models.abstract().items()
    }
    params = jax.device_put({**params, "loras": []}, jax.devices()[0])
    return Pipeline(models, params, Schedule())


@pytest.fixture(scope="module")
def clip():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (11, 32, 32, 3), np.uint8)
    holes = np.zeros((11, 32, 32), bool)
    holes[1:, 8:20, 4:16] = True
    return frames, holes, tuple(rng.standard_normal((2, 3, 6), np.float32))
