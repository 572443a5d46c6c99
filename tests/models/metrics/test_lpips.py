"""LPIPS against the package and torchmetrics, with random weights through the table."""

import re

import jax
import numpy as np
import pytest
import torch
from flax import nnx

from tests.torchvision_ops import lpips, torchmetrics
from vp_jax.convert import engine
from vp_jax.convert.metrics import METRICS
from vp_jax.models.metrics.description import abstract_metric
from vp_jax.models.metrics.lpips import LpipsConfig, Pool, max_pooled

SLICE = re.compile(r"net\.slice(\d)\.")
"""Where the package keeps a part of SqueezeNet that torchmetrics keeps in a list."""
RNG = np.random.default_rng(0)
A, B = (RNG.uniform(0, 1, (2, 67, 75, 3)).astype(np.float32) for _ in range(2))


def channels_first(x_FHWC):
    return torch.from_numpy(x_FHWC).permute(0, 3, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["squeeze", "alex", "vgg"])
def test_the_distance_is_that_of_the_package(net):
    torch.manual_seed(0)
    package = lpips.LPIPS(net=net, pnet_rand=True, pretrained=True, verbose=False)
    state = {key: value.numpy() for key, value in package.state_dict().items()}
    entry = METRICS[f"lpips_{net}"]
    graph, abstract = abstract_metric(LpipsConfig(net))
    named = {entry.rename(key): value for key, value in state.items()}
    params = engine.to_ours(named, entry.rules, entry.ignored, abstract)
    ours_F = jax.jit(lambda params, a, b: nnx.merge(graph, params)(a, b))(params, A, B)
    with torch.no_grad():
        theirs_F = package(channels_first(A), channels_first(B), normalize=True).reshape(-1).numpy()
        module = torchmetrics.functional.image.lpips._LPIPS(pretrained=False, net=net, pnet_rand=True)
        renamed = {
            SLICE.sub(lambda m: f"net.slices.{int(m[1]) - 1}.", key): x for key, x in package.state_dict().items()
        }
        loaded = module.load_state_dict(package.state_dict() if net != "squeeze" else renamed, strict=False)
        assert loaded.missing_keys == []
        others_F = module(channels_first(A), channels_first(B), normalize=True).reshape(-1).numpy()
    np.testing.assert_allclose(ours_F, theirs_F, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(ours_F, others_F, atol=1e-5, rtol=1e-4)
    assert theirs_F.min() > 1e-3


@pytest.mark.parametrize("size", [6, 7, 8, 9])
@pytest.mark.parametrize("ceil", [True, False])
def test_maxima_of_squares_that_are_not_complete(size, ceil):
    x = RNG.normal(size=(1, size, size + 1, 2)).astype(np.float32)
    expected = torch.nn.functional.max_pool2d(channels_first(x), 3, 2, ceil_mode=ceil).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(max_pooled(x, Pool(3, ceil)), expected)
