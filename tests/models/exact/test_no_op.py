"""A context encoder without effect changes no bit. Bits are those of the programs that users get (`OPTIMISED`)."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.models.branch import init_from_backbone
from vp_jax.models.config import Injection
from vp_jax.models.inpaint import predict


@pytest.mark.slow
def test_zero_linears_make_the_branch_an_exact_no_op(models, inputs):
    backbone, _ = models
    noisy, image, condition, text, t = inputs
    graph, fresh = trees.split(models[1])
    started = init_from_backbone(trees.split(backbone)[1], fresh, latent_channels=4)
    got = predict(backbone, nnx.merge(graph, started), noisy, image, condition, text, t).sample
    want = backbone(jnp.concatenate([noisy, image], -1), text, t).sample
    np.testing.assert_array_equal(got, want)


@pytest.mark.slow
def test_hints_change_the_output_and_scale_zero_does_not(models, inputs):
    backbone, branch = models
    noisy, image, condition, text, t = inputs
    plain = backbone(jnp.concatenate([noisy, image], -1), text, t).sample
    assert relative_error(predict(backbone, branch, *inputs).sample, plain) > 1e-3
    off = predict(backbone, branch, *inputs, injection=Injection(scale=0.0)).sample
    np.testing.assert_array_equal(off, plain)
