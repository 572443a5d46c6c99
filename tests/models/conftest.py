"""A tiny backbone with its context encoder, and inputs for one forward pass of both."""

import jax
import jax.numpy as jnp
import pytest

from tests.models import random_weights
from tests.models.tiny import BRANCH, DIT
from vp_jax.models.branch import Branch
from vp_jax.models.dit import DiT
from vp_jax.models.inpaint import Condition


@pytest.fixture(scope="session")
def models() -> tuple[DiT, Branch]:
    return random_weights.module(DiT, DIT)[0], random_weights.module(Branch, BRANCH, seed=1)[0]


@pytest.fixture(scope="session")
def inputs() -> tuple[jax.Array | Condition, ...]:
    """noisy, image, condition, text, t: three latent frames of 4 x 6 with the upper left corner masked."""
    keys = jax.random.split(jax.random.key(2), 4)
    noisy, image, masked = (jax.random.normal(k, (2, 3, 4, 6, 4)) for k in keys[:3])
    mask = jnp.zeros((2, 3, 4, 6)).at[:, :, :2, :4].set(1)
    text = jax.random.normal(keys[3], (2, 3, 12))
    return noisy, image, Condition.of(masked, mask), text, jnp.array([10, 900])
