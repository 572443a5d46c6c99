"""I3D against one in PyTorch written from the facts, with random weights through the table."""

import functools

import jax
import numpy as np
import pytest
import torch
from flax import nnx

from tests.models.metrics.torch_i3d import TorchI3D
from vp_jax.convert import engine
from vp_jax.convert.metrics import I3D_IGNORED, I3D_RULES
from vp_jax.models.metrics.description import abstract_metric
from vp_jax.models.metrics.i3d import I3DConfig, same_padding

CLIP = np.random.default_rng(0).uniform(0, 1, (1, 10, 33, 40, 3)).astype(np.float32)


@pytest.mark.slow
def test_features_are_those_of_the_oracle_with_stored_and_with_own_statistics():
    torch.manual_seed(0)
    theirs = TorchI3D()
    for name, value in theirs.state_dict().items():
        if name.endswith(("running_mean", "bn.bias")):
            value.normal_(0, 0.1)
        elif name.endswith(("running_var", "bn.weight")):
            value.uniform_(0.5, 1.5)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    graph, abstract = abstract_metric(I3DConfig())
    params = engine.to_ours(state, I3D_RULES, I3D_IGNORED, abstract)

    @functools.partial(jax.jit, static_argnums=2)
    def features(params, clip, own):
        return nnx.merge(graph, params)(clip, own_statistics=own)

    for own in (False, True):
        theirs.train(own)
        with torch.no_grad():
            expected = theirs(torch.from_numpy(CLIP).permute(0, 4, 1, 2, 3)).numpy()
        np.testing.assert_allclose(features(params, CLIP, own), expected, atol=1e-4 * np.abs(expected).max())
        assert np.abs(expected).max() > 1e-2


@pytest.mark.parametrize(
    "size, kernel, stride, expected", [(10, 7, 2, (2, 3)), (11, 7, 2, (3, 3)), (8, 3, 1, (1, 1)), (7, 2, 2, (0, 1))]
)
def test_padding_depends_on_the_size(size, kernel, stride, expected):
    assert same_padding(size, kernel, stride) == expected
