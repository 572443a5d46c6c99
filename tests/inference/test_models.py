"""What a run's models are, from their descriptions."""

import dataclasses

import pytest

from tests.tiny import ADAPTED, BRANCH, DIT, VAE_CFG
from vp_jax.inference.models import Models
from vp_jax.models.config import LoRAConfig


@pytest.mark.parametrize(
    "channels, takes_condition, takes_image",
    [(4, False, False), (8, False, True), (9, True, False), (13, True, True)],
)
def test_an_image_is_taken_by_backbones_with_room_for_it(channels, takes_condition, takes_image):
    backbone = dataclasses.replace(DIT, in_channels=channels, takes_condition=takes_condition)
    assert Models(backbone, BRANCH, VAE_CFG).takes_image is takes_image


def test_only_extra_keys_make_an_id_adapter():
    style, own = (LoRAConfig(ADAPTED, rank=2, extra_keys=extra) for extra in (False, True))
    assert not Models(DIT, BRANCH, VAE_CFG, (style,)).has_id_adapter
    assert Models(DIT, BRANCH, VAE_CFG, (style, own)).has_id_adapter


def test_models_of_equal_descriptions_are_one_for_jit():
    assert hash(Models(DIT, BRANCH, VAE_CFG)) == hash(Models(DIT, BRANCH, VAE_CFG))
    assert Models(DIT, BRANCH, VAE_CFG) == Models(DIT, BRANCH, VAE_CFG)
    assert set(Models(DIT, BRANCH, VAE_CFG).abstract()) == {"backbone", "branch", "vae"}
