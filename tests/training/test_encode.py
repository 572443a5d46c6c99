"""From a loader's batch to the step's: the reference VAE's posterior, what is drawn and what is kept."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import DEFAULT, relative_error
from tests.parity import reference as ref
from vp_jax import sharding
from vp_jax.data import clips
from vp_jax.data.batches import LatentBatch, PixelBatch, device_batch
from vp_jax.data.pipeline import LoaderConfig, make_loader
from vp_jax.models.latent_mask import mask_to_latent
from vp_jax.training.encode import Encoders, float_pixels
from vp_jax.world.synthetic import WordIds, World


def key():
    return jax.random.key(5)


@pytest.fixture(scope="module")
def encoders():
    cfg, _, params = ref.vae(DEFAULT)
    return Encoders(cfg, None, text_dim=24), {"vae": params}


@pytest.fixture(scope="module")
def raw() -> PixelBatch:
    cfg = LoaderConfig(batch_size=2, frames=9, height=64, width=96, on_device=True, image_dropout=0.5, threads=0)
    loader = make_loader(World(8, 18, 64, 96), cfg, tokenizer=WordIds(6))
    batch = next(loader)
    assert set(batch["image_keep"].tolist()) == {0.0, 1.0}, "the seed gives one image dropped and one kept"
    return jax.tree.map(jnp.asarray, device_batch(batch))


@pytest.fixture(scope="module")
def encoded(encoders, raw):
    models, weights = encoders
    return jax.jit(models.encode)(weights, raw, key())


@pytest.mark.slow
def test_latents_are_draws_of_the_reference_posterior(encoders, encoded, raw):
    """The posterior itself is compared with PyTorch's in the tests of the VAE."""
    models, weights = encoders
    pixels = raw.pixels_BFHWC.astype(jnp.float32) / 127.5 - 1
    _, graph, _ = ref.vae(DEFAULT)
    posterior = nnx.merge(graph, weights["vae"]).encode(pixels)
    keys = jax.random.split(key(), 4)
    want = models.vae.scaling_factor * posterior.sample(jax.random.normal(keys[0], posterior.mean_BThwC.shape))
    assert relative_error(encoded.latents_BThwC, want) <= 1e-5


def test_masks_text_and_shapes(encoded, raw):
    np.testing.assert_array_equal(encoded.mask_BThw, mask_to_latent(raw.masks_BFHW.astype(jnp.float32)))
    assert encoded.mask_BThw.any() and not encoded.mask_BThw[:, 0].any(), "the first frame is shown"
    assert {name: x.shape for name, x in encoded._asdict().items()} == {
        "latents_BThwC": (2, 3, 8, 12, 16),
        "masked_latents_BThwC": (2, 3, 8, 12, 16),
        "image_latents_BThwC": (2, 3, 8, 12, 16),
        "mask_BThw": (2, 3, 8, 12),
        "text_BME": (2, 6, 24),
    }
    assert not np.array_equal(encoded.latents_BThwC, encoded.masked_latents_BThwC)


def test_image_is_the_first_frame_alone_and_dropped_per_example(encoded, raw):
    image = np.asarray(encoded.image_latents_BThwC)
    assert not image[:, 1:].any()
    for kept, latents in zip(raw.image_keep_B, image[:, 0]):
        assert latents.any() == bool(kept)


@pytest.mark.slow
@pytest.mark.parametrize("context", [2, 4])
def test_rows_divided_over_context_give_the_same_latents(encoders, encoded, raw, context):
    """64 rows: at the deepest level 8, over 4 devices 2 each, which exchange the edges that a convolution sees."""
    models, weights = encoders
    mesh = sharding.make_mesh({"data": 2, "context": context}, jax.devices()[: 2 * context])
    rows = jax.device_put(raw, sharding.batch_shardings(raw, mesh))
    with jax.set_mesh(mesh):
        program = (
            jax.jit(models.encode)
            .lower(
                jax.device_put(weights, sharding.replicated(mesh)),
                rows,
                jax.device_put(key(), sharding.replicated(mesh)),
            )
            .compile()
        )
    got = program(
        jax.device_put(weights, sharding.replicated(mesh)), rows, jax.device_put(key(), sharding.replicated(mesh))
    )
    for name, want in encoded._asdict().items():
        assert relative_error(np.asarray(getattr(got, name)), want) <= 1e-5, name
    whole = re.findall(r"all-gather\S* = f32\[[^\]]*64,96,\d+\]", program.as_text())
    assert not whole, "frames are put together again"


@pytest.mark.slow
def test_what_a_latent_shard_has_is_not_computed_again(encoders, encoded, raw):
    models, weights = encoders
    stored = LatentBatch(**encoded._asdict())
    again = models.encode(weights, stored, key())
    for name, value in encoded._asdict().items():
        np.testing.assert_array_equal(getattr(again, name), value, err_msg=name)
    pixels = raw.pixels_BFHWC * (1 - raw.masks_BFHW)[..., None]
    clean = stored._replace(
        masked_latents_BThwC=None,
        mask_BThw=None,
        masked_BFHWC=pixels.astype(jnp.float32) / 127.5 - 1,
        masks_BFHW=raw.masks_BFHW.astype(jnp.float32),
    )
    mixed = jax.jit(models.encode)(weights, clean, key())
    assert relative_error(mixed.masked_latents_BThwC, encoded.masked_latents_BThwC) <= 1e-5
    np.testing.assert_array_equal(mixed.mask_BThw, encoded.mask_BThw)
    assert dataclasses.replace(models, image=False).encode(weights, stored, key()).image_latents_BThwC is None


def test_token_ids_are_embedded_where_a_shard_has_no_embeddings(encoders, encoded, raw):
    models, weights = encoders
    stored = LatentBatch(**encoded._asdict())._replace(text_BME=None, input_ids_BM=raw.input_ids_BM)
    np.testing.assert_array_equal(models.encode(weights, stored, key()).text_BME, encoded.text_BME)
    with pytest.raises(TypeError, match="without token ids"):
        models.encode(weights, stored._replace(input_ids_BM=None), key())


@pytest.mark.slow
def test_clips_without_holes_are_the_same_latents(encoders, encoded, raw):
    models, weights = encoders
    clips = jax.jit(models.encode_clips)(weights, raw, key())
    np.testing.assert_array_equal(clips.latents_BThwC, encoded.latents_BThwC)
    np.testing.assert_array_equal(clips.image_latents_BThwC, encoded.image_latents_BThwC)
    t2v = dataclasses.replace(models, image=False).encode_clips(weights, raw, key())
    assert t2v.image_latents_BThwC is None


def test_pixels_on_the_device_are_those_of_the_loader():
    rng = np.random.default_rng(0)
    pixels, masks = rng.integers(0, 256, (1, 3, 8, 8, 3), np.uint8), rng.integers(0, 2, (1, 3, 8, 8), np.uint8)
    want = clips.to_model_range({"pixels": pixels, "masks": masks})
    np.testing.assert_allclose(jax.jit(float_pixels)(pixels), want["pixels_BFHWC"], atol=1e-6)
    black = jax.jit(float_pixels)(pixels * (1 - masks)[..., None])
    np.testing.assert_allclose(black, want["masked_BFHWC"], atol=1e-6)


def test_each_word_is_a_vector_of_its_own_without_a_text_encoder(encoders):
    models, weights = encoders
    text = models.text(weights, jnp.array([[3, 4, 3], [5, 3, 4]]))
    assert text.shape == (2, 3, models.text_dim)
    np.testing.assert_array_equal(text[0, 0], text[0, 2])
    np.testing.assert_array_equal(text[0, 1], text[1, 2])
    assert relative_error(text[0, 0], text[0, 1]) > 0.1


@pytest.mark.slow
def test_the_image_condition_shows_the_hole_of_frame_0(encoders, encoded, raw):
    """As the sampler does that is given no first frame; where frame 0 has no hole, nothing changes."""
    models, weights = encoders
    holes = raw._replace(masks_BFHW=raw.masks_BFHW.at[:, 0, :16, :16].set(1))
    black = raw._replace(pixels_BFHWC=raw.pixels_BFHWC.at[:, 0, :16, :16].set(0))
    images = [jax.jit(models.encode)(weights, one, key()).image_latents_BThwC for one in (holes, black)]
    np.testing.assert_allclose(images[0], images[1], atol=1e-5)
    assert not np.allclose(images[0], encoded.image_latents_BThwC, atol=1e-2)
