"""The encoders of a checkpoint folder, as latent shards are written with; the command is tested in tests/cli."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.test_configs import config_of
from vp_jax import checkpoint
from vp_jax.errors import UserError
from vp_jax.inference.named import find_model
from vp_jax.models.folder import AUTOENCODER, CheckpointFolder, abstract_model
from vp_jax.runs import latent_shards
from vp_jax.runs.latent_shards import CheckpointEncoders

NANO = find_model("nano").folder


@pytest.mark.slow
def test_videos_give_the_posterior_of_the_checkpoint_s_vae():
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 1, 16, 16, 3)).astype(np.float32)
    mean, std = CheckpointEncoders(str(NANO)).video(pixels)
    source = CheckpointFolder(NANO)
    graph, shapes = abstract_model(source.describe(AUTOENCODER, dtype="float32", param_dtype="float32"))
    vae = nnx.merge(graph, checkpoint.load_params(source.of(AUTOENCODER), shapes))
    want = jax.jit(lambda x: vae.encode(x))(jnp.asarray(pixels))
    np.testing.assert_allclose(mean, want.mean_BThwC, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(std, want.std_BThwC, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_captions_are_embedded_only_on_request():
    assert CheckpointEncoders(str(NANO)).text(["a red circle"]) is None
    text = CheckpointEncoders(str(NANO), text_len=24).text(["a red circle", "a blue square"])
    assert text.shape == (2, 24, 64) and text.dtype == np.float32 and not np.array_equal(*text)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model.checkpoint": "/nowhere"}, "no config.json in /nowhere/vae"),
        ({"data.kind": "folder", "data.path": "/nowhere"}, "/nowhere is not a folder"),
        ({"loader.frames": 10}, "10 frames"),
    ],
)
def test_mistakes_are_reported_before_any_worker_starts(changes, message, tmp_path):
    config = config_of("tiny")
    config.model.checkpoint = str(NANO)
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message):
        latent_shards.build_latent_shards(config, str(tmp_path / "out"))
    assert not Path(tmp_path / "out").exists()
