"""A converted checkpoint made of the reference's tiny models, and a folder of compiled programs that runs share."""

import pytest

from tests.parity import reference as ref
from vp_jax import checkpoint
from vp_jax.models import config


@pytest.fixture(scope="session")
def converted(golden, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    for name, (cfg, _, params) in {"transformer": ref.backbone(golden), "branch": ref.branch(golden),
                                   "vae": ref.vae(golden)}.items():
        checkpoint.save_params(folder / name, params, config.to_json(cfg))
    return folder


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    return tmp_path_factory.mktemp("programs")
