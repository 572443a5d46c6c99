"""Descriptions of the networks of scores, as stored."""

import json

import pytest

from vp_jax.errors import UserError
from vp_jax.models.metrics.clip import ClipConfig
from vp_jax.models.metrics.description import METRIC_KINDS, abstract_metric, metric_from_json, metric_to_json
from vp_jax.models.metrics.lpips import LpipsConfig
from vp_jax.models.metrics.raft import RaftConfig
from vp_jax.models.metrics.videomae import VideoMaeConfig


@pytest.mark.slow
@pytest.mark.parametrize(
    "description", [LpipsConfig("alex"), ClipConfig(layers=3), RaftConfig(radius=2), VideoMaeConfig(epsilon=1e-6)]
)
def test_a_description_comes_back_from_its_file(description):
    found = metric_from_json(json.loads(json.dumps(metric_to_json(description))))
    assert found == description and abstract_metric(found) is abstract_metric(description)


def test_what_does_not_fit_is_refused():
    assert set(METRIC_KINDS) == {"lpips", "clip", "i3d", "raft", "dinov2", "videomae"}
    with pytest.raises(UserError, match="kind 'vae': expected one of lpips"):
        metric_from_json({"kind": "vae"})
    with pytest.raises(UserError, match="a lpips with the fields"):
        metric_from_json({"kind": "lpips", "network": "alex"})
