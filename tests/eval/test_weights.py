"""Networks of scores, read from a folder of converted weights."""

import pytest

from tests.eval.small_networks import clip_network, lpips_network
from vp_jax import checkpoint
from vp_jax.convert.metrics import METRICS
from vp_jax.errors import UserError
from vp_jax.eval.scores import SCORES
from vp_jax.eval.weights import WEIGHTS, how_to_get, load_networks
from vp_jax.models.metrics.description import metric_to_json


def test_every_score_needs_weights_that_can_be_converted():
    assert {score.needs for score in SCORES.values()} - {None, "vlm"} == set(WEIGHTS)
    assert set(WEIGHTS.values()) == set(METRICS)
    assert "--vlm http://" in how_to_get("vlm")
    assert how_to_get("clip_vit_b32") == "clip_vit_b32: vp-jax convert one clip SOURCE WEIGHTS/clip_vit_b32"


def test_a_folder_gives_what_it_has(tmp_path):
    lpips = lpips_network()
    checkpoint.save_params(tmp_path / "lpips_squeeze", lpips.params, metric_to_json(lpips.description))
    (tmp_path / "clip_vit_b32").mkdir()
    clip = clip_network(tmp_path / "clip_vit_b32")
    checkpoint.save_params(tmp_path / "clip_vit_b32", clip.params, metric_to_json(clip.description))
    found = load_networks(tmp_path)
    assert list(found) == ["lpips_squeeze", "clip_vit_b32"]
    assert found["lpips_squeeze"].description == lpips.description
    assert found["clip_vit_b32"].tokenizer.tokens("the cat") == clip.tokenizer.tokens("the cat")


def test_no_folder_says_how_weights_are_made(tmp_path):
    with pytest.raises(UserError, match="expected converted weights, lpips_squeeze: vp-jax convert one"):
        load_networks(tmp_path / "none")
