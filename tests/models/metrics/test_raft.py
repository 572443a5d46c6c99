"""RAFT against torchvision's, at the least size, with random weights through the table."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx

from tests.torchvision_ops import torchvision
from vp_jax.convert import engine
from vp_jax.convert.metrics import RAFT_IGNORED, RAFT_RULES
from vp_jax.models.metrics.description import abstract_metric
from vp_jax.models.metrics.raft import LEAST_SIZE, RaftConfig, around, pyramid

SMALL = RaftConfig(encoder=(8, 8, 12, 16, 24), radius=2, correlation=(16, 12), flow=(8, 6), motion=14, state=12, head=8)


def small_raft():
    raft = torchvision.models.optical_flow.raft
    return raft._raft(
        weights=None,
        progress=False,
        feature_encoder_layers=SMALL.encoder,
        feature_encoder_block=raft.ResidualBlock,
        feature_encoder_norm_layer=torch.nn.InstanceNorm2d,
        context_encoder_layers=SMALL.encoder,
        context_encoder_block=raft.ResidualBlock,
        context_encoder_norm_layer=torch.nn.BatchNorm2d,
        corr_block_num_levels=4,
        corr_block_radius=SMALL.radius,
        motion_encoder_corr_layers=SMALL.correlation,
        motion_encoder_flow_layers=SMALL.flow,
        motion_encoder_out_channels=SMALL.motion,
        recurrent_block_hidden_state_size=SMALL.state,
        recurrent_block_kernel_size=((1, 5), (5, 1)),
        recurrent_block_padding=((0, 2), (2, 0)),
        flow_head_hidden_size=SMALL.head,
        use_mask_predictor=True,
    ).eval()


@pytest.mark.slow
def test_the_flow_is_that_of_torchvision():
    torch.manual_seed(0)
    theirs = small_raft()
    for name, value in theirs.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    rng = np.random.default_rng(0)
    pair = rng.uniform(-1, 1, (2, LEAST_SIZE, LEAST_SIZE + 8, 3)).astype(np.float32)
    first, second = (torch.from_numpy(picture)[None].permute(0, 3, 1, 2) for picture in pair)
    with torch.no_grad():
        expected = theirs(first, second, num_flow_updates=3)[-1][0].permute(1, 2, 0).numpy()
    graph, abstract = abstract_metric(SMALL)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    params = engine.to_ours(state, RAFT_RULES, RAFT_IGNORED, abstract)
    found = jax.jit(lambda params, a, b: nnx.merge(graph, params)(a, b, 3))(params, *pair)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert np.abs(expected).max() > 1


@pytest.mark.slow
def test_correlations_around_a_place_are_bilinear_and_zero_outside():
    level = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    seen = np.asarray(around(level, np.array([[1.5, 1.0]], np.float32), 1)).reshape(3, 3)
    np.testing.assert_allclose(seen[1], [1.5, 5.5, 9.5])  # column 1.5, rows 0 to 2
    far = np.asarray(around(level, np.array([[-1.0, 0.0]], np.float32), 1)).reshape(3, 3)
    np.testing.assert_allclose(far, [[0, 0, 0], [0, 0, 0], [0, 0, 4]])


def test_the_pyramid_drops_an_odd_row():
    features = np.random.default_rng(0).normal(size=(17, 16, 4)).astype(np.float32)
    assert [level.shape[1:] for level in pyramid(features, features)] == [(17, 16), (8, 8), (4, 4), (2, 2)]
