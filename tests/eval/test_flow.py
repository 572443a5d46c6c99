"""Warping error with RAFT's flow: any size of frames."""

import numpy as np
import pytest

from tests.eval.made_clips import made_clip
from tests.eval.small_networks import random_network
from vp_jax.eval.flow import _padding, raft_flow
from vp_jax.eval.scores import SCORES
from vp_jax.models.metrics.raft import RaftConfig

SMALL = RaftConfig(
    encoder=(4, 4, 4, 4, 8), radius=1, correlation=(4, 4), flow=(4, 4), motion=6, state=4, head=4, mask=4
)


@pytest.mark.parametrize("size, expected", [(128, (0, 0)), (100, (14, 14)), (130, (3, 3)), (481, (3, 4))])
def test_frames_are_made_large_enough(size, expected):
    assert _padding(size) == expected


@pytest.mark.slow
def test_a_flow_has_the_size_of_its_frames():
    clip, network = made_clip(frames=2), random_network(SMALL)
    flow = raft_flow(network.graph, network.params, *clip.truth_FHWC)
    assert flow.shape == (*clip.truth_FHWC.shape[1:3], 2) and np.isfinite(flow).all()
    meter = SCORES["warping_error_raft_hole"].compute(networks={"raft": network})
    meter.update(clip.truth_FHWC, clip.truth_FHWC, clip.holes_FHW)
    assert meter.value() >= 0 or np.isnan(meter.value())
