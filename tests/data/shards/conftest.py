"""Latent shards of the drawn data set: with three masks and two windows a clip, and with clean latents alone."""

import functools
from pathlib import Path

import pytest

from tests.data.shards.encoders import LOADER, MeanEncoders, open_source
from vp_jax.data.shards.latents_tfds import LatentConfig, build_latents


@pytest.fixture(scope="session")
def latent_shards(layout, tmp_path_factory) -> Path:
    cfg, out = LatentConfig(LOADER, masks=3, images=2, windows=2), tmp_path_factory.mktemp("latents")
    return build_latents(cfg, functools.partial(open_source, layout), MeanEncoders, out)


@pytest.fixture(scope="session")
def clean_shards(layout, tmp_path_factory) -> Path:
    cfg, out = LatentConfig(LOADER, masks=0, images=1), tmp_path_factory.mktemp("clean")
    return build_latents(cfg, functools.partial(open_source, layout), MeanEncoders, out)
