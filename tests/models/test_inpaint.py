"""VideoPainter's wiring: properties that hold for any weights."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from tests.models.tiny import BRANCH, DIT
from vp_jax import trees
from vp_jax.models.branch import Branch
from vp_jax.models.config import BranchConfig, Injection
from vp_jax.models.dit import DiT
from vp_jax.models.inpaint import Condition, predict


@pytest.mark.slow
def test_partial_injection_stops_at_wholly_masked_tokens_alone(models, inputs):
    noisy, image, condition, text, t = inputs

    def sample(columns, tokens):
        mask = jnp.zeros_like(condition.mask_BThw).at[:, :, :2, :columns].set(1)
        cut = Condition.of(condition.masked_BThwC, mask)
        return predict(*models, noisy, image, cut, text, t, injection=Injection(tokens=tokens)).sample

    np.testing.assert_array_equal(sample(4, "partial"), sample(4, "background"))  # two whole tokens
    np.testing.assert_array_equal(sample(1, "partial"), sample(1, "all"))  # half a token
    assert relative_error(sample(1, "partial"), sample(1, "background")) > 1e-3


@pytest.mark.slow
def test_bfloat16_is_near_float32(models, inputs):
    outputs = []
    for dtype in ("float32", "bfloat16"):
        dit = dataclasses.replace(DIT, dtype=dtype, param_dtype=dtype)
        branch = BranchConfig(dataclasses.replace(BRANCH.dit, dtype=dtype, param_dtype=dtype))
        graphs = [
            trees.abstract(lambda: DiT(dit, rngs=nnx.Rngs(0)))[0],  # noqa: B023
            trees.abstract(lambda: Branch(branch, rngs=nnx.Rngs(0)))[0],  # noqa: B023
        ]
        built = [nnx.merge(g, trees.cast(trees.split(m)[1], dtype)) for g, m in zip(graphs, models)]
        outputs.append(jax.jit(lambda *a: predict(*a).sample)(*built, *inputs).astype(jnp.float32))
    assert relative_error(outputs[1], outputs[0]) < 2e-2
