"""The autoencoder of blocks: its start is a linear one, chunks are one clip, time flows one way, holes stay local."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig, from_json, to_json
from vp_jax.models.folder import abstract_model, build_model
from vp_jax.models.vae import blocks
from vp_jax.models.vae.vae import VAE
from vp_jax.training.stages.weights import random_weights

CFG = VAEConfig(design="blocks", latent_channels=4, channels=(6, 8), layers_per_block=2, scaling_factor=1.0)


def uniform(seed, *shape):
    return np.asarray(jax.random.uniform(jax.random.key(seed), shape, minval=-1, maxval=1), np.float32)


def model(weights, cfg=CFG):
    return nnx.merge(abstract_model(cfg)[0], weights)


@pytest.fixture(scope="module")
def trained():
    """Weights as after training: no map is zero, or the corrections would be tested as nothing."""
    flat = trees.flatten(random_weights(CFG, jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), len(flat))
    return trees.unflatten(
        {path: leaf + 0.05 * jax.random.normal(key, leaf.shape) for (path, leaf), key in zip(flat.items(), keys)}
    )


def test_blocks_are_pixels_in_another_order():
    x = uniform(0, 2, 8, 16, 24, 3)
    cells = np.asarray(blocks.to_blocks(x, 8))
    assert cells.shape == (2, 2, 2, 3, 4 * 8 * 8 * 3)
    np.testing.assert_array_equal(cells[1, 1, 0, 2].reshape(4, 8, 8, 3), x[1, 4:, :8, 16:])
    np.testing.assert_array_equal(blocks.from_blocks(cells, 8), x)
    np.testing.assert_array_equal(blocks.one_first(blocks.four_first(x[:, :5])), x[:, :5])


@pytest.mark.slow
def test_a_fresh_autoencoder_is_the_principal_components_of_blocks():
    """Blocks that lie in a space of 4 dimensions come back exactly; their latents have mean 0 and deviation 1."""
    rng = np.random.default_rng(0)
    basis = rng.uniform(-1, 1, (4, 768)) / 4
    values = np.tanh(rng.standard_normal((40, 4, 4, 6, 4))) @ basis  # clips, latent frames, rows, columns
    later = np.asarray(blocks.from_blocks(jnp.asarray(values, jnp.float32), 8))
    clips = np.concatenate([later[:, :1], later], axis=1)
    pixels = np.round((np.clip(clips, -1, 1) + 1) * 127.5).astype(np.uint8)
    weights = blocks.pca(random_weights(CFG, jax.random.key(0)), pixels)
    x = pixels.astype(np.float32) / 127.5 - 1
    latents = model(weights).encode(x).mean_BThwC
    back = np.asarray(model(weights).decode(latents))
    assert back.shape == x.shape
    assert np.abs(back[:, 1:] - x[:, 1:]).max() < 4 / 127.5, "more than what rounding to 8 bits takes away"
    later = np.asarray(latents)[:, 1:]
    np.testing.assert_allclose(later.mean((0, 1, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(later.std((0, 1, 2, 3)), 1, atol=1e-3)


@pytest.mark.slow
def test_too_few_blocks_for_the_components_are_refused():
    with pytest.raises(ValueError, match="12 blocks: expected at least 768"):
        blocks.pca(random_weights(CFG, jax.random.key(0)), np.zeros((1, 5, 24, 32, 3), np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [(9, 8), (1, 8, 8), (5, 4, 8)])
def test_chunks_are_one_clip(trained, lengths):
    x, vae = uniform(2, 1, 17, 16, 16, 3), model(trained)
    want, _ = vae.encode_chunk(x)
    parts, cache = [], None
    for part in np.split(x, np.cumsum(lengths)[:-1], axis=1):
        moments, cache = vae.encode_chunk(part, cache)
        parts.append(moments)
    assert relative_error(np.concatenate(parts, axis=1), want) < 1e-5
    z = uniform(3, 1, 5, 2, 2, 4)
    want, _ = vae.decode_chunk(z)
    first, cache = vae.decode_chunk(z[:, :3])
    second, _ = vae.decode_chunk(z[:, 3:], cache)
    assert relative_error(np.concatenate([first, second], axis=1), want) < 1e-5 and want.shape == x.shape


@pytest.mark.slow
def test_latents_see_no_later_frame(trained):
    x, vae = uniform(4, 1, 17, 16, 16, 3), model(trained)
    changed = np.concatenate([x[:, :9], -x[:, 9:]], axis=1)
    same, other = (np.asarray(vae.encode(clip).mean_BThwC) for clip in (x, changed))
    np.testing.assert_array_equal(same[:, :3], other[:, :3])
    assert np.abs(same[:, 3:] - other[:, 3:]).min() > 0


@pytest.mark.slow
def test_a_hole_reaches_no_latent_beyond_the_convolutions(trained):
    """4 convolutions over cells of 4 pixels and 5 over cells of 8 reach 7 cells of 8 far."""
    x, vae = uniform(5, 1, 1, 8, 192, 3), model(trained)
    hole = x.copy()
    hole[:, :, :, :8] = -1
    moved = np.abs(np.asarray(vae.encode(x).mean_BThwC) - np.asarray(vae.encode(hole).mean_BThwC)).max((0, 1, 2, 4))
    assert moved[0] > 0 and (moved[8:] == 0).all()


@pytest.mark.slow
def test_means_and_deviations_of_the_description_normalise_the_latents(trained):
    x, mean, std = uniform(6, 1, 5, 16, 16, 3), (0.5, -1.0, 0.0, 2.0), (2.0, 0.5, 1.0, 4.0)
    cfg = dataclasses.replace(CFG, latent_mean=mean, latent_std=std)
    plain, normal = (model(trained, each).encode(x) for each in (CFG, cfg))
    for channel in range(4):
        want = (plain.mean_BThwC[..., channel] - mean[channel]) / std[channel]
        np.testing.assert_allclose(normal.mean_BThwC[..., channel], want, rtol=1e-5)
        np.testing.assert_allclose(normal.std_BThwC[..., channel] * std[channel], plain.std_BThwC[..., channel], 1e-5)
    back = model(trained, cfg).decode(normal.mean_BThwC)
    assert relative_error(back, model(trained).decode(plain.mean_BThwC)) < 1e-5
    assert from_json(to_json(cfg)) == cfg


@pytest.mark.slow
def test_frames_that_are_no_chunk_are_refused(trained):
    with pytest.raises(ValueError, match="8 frames: expected 4 n \\+ 1"):
        model(trained).encode_chunk(uniform(7, 1, 8, 8, 8, 3))
    _, cache = model(trained).encode_chunk(uniform(7, 1, 5, 8, 8, 3))
    with pytest.raises(ValueError, match="5 frames"):
        model(trained).encode_chunk(uniform(7, 1, 5, 8, 8, 3), cache)


@pytest.mark.slow
def test_the_design_has_its_own_sizes():
    assert isinstance(build_model(CFG, nnx.Rngs(0)), VAE) and CFG.spatial_stride == 8
    for changes, message in (
        ({"channels": (8,)}, "expected two widths"),
        ({"latent_std": (1.0,)}, "latent_std: 1 values"),
        ({"temporal_stride": 2}, "temporal_stride 2"),
    ):
        with pytest.raises(UserError, match=message):
            dataclasses.replace(CFG, **changes)
