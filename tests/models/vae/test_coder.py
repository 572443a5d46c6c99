"""Encoder and decoder, one chunk at a time: sizes, causality, and the cache that makes chunks one clip."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from tests.models.vae.tiny import TINY, decode_chunk, encode_chunk, uniform
from vp_jax import trees
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import layers, vae
from vp_jax.models.vae.coder import Decoder, DownLevel, Encoder, UpLevel
from vp_jax.models.vae.convs import TimeCache

CHUNKS = {"encode": [(9, 8), (1, 8, 8), (17,)], "decode": [(3, 2), (1, 2, 2), (5,)]}
"""Ways to cut 17 frames or 5 latents; every chunk but the first is of a whole number of latents."""


@pytest.fixture
def unnormed(monkeypatch):
    """Without statistics, which are those of one chunk, a chunk knows its past through the convolutions alone."""

    def affine(self, x_BFHWC):
        scale, bias = (p[...][None, None, None, None, :] for p in (self.scale, self.bias))
        return x_BFHWC.astype(jnp.float32) * scale + bias

    monkeypatch.setattr(layers.GroupNorm, "__call__", affine)


def in_chunks(step, x, lengths):
    parts, cache = [], None
    for part in np.split(x, np.cumsum(lengths)[:-1], axis=1):
        y, cache = step(part, cache)
        parts.append(y)
    return np.concatenate(parts, axis=1)


def steps(tiny):
    graphdef, params = tiny
    model = nnx.merge(graphdef, params)
    return {
        "encode": functools.partial(jax.jit(lambda m, *chunk: m.encode_chunk(*chunk)), model),
        "decode": functools.partial(jax.jit(lambda m, *chunk: m.decode_chunk(*chunk)), model),
    }


INPUTS = {"encode": uniform(1, 17, 8, 8, 3), "decode": uniform(1, 5, 2, 2, TINY.latent_channels)}


@pytest.mark.slow
@pytest.mark.parametrize("way", CHUNKS)
def test_however_a_clip_is_cut_its_chunks_make_the_whole(tiny, unnormed, way):
    step, x = steps(tiny)[way], INPUTS[way]
    results = [in_chunks(step, x, lengths) for lengths in CHUNKS[way]]
    for lengths, result in zip(CHUNKS[way], results):
        assert relative_error(result, results[-1]) < 1e-6, lengths
    assert results[0].shape[1] == 9, "time by two, the first frame and latent alone"


def test_a_frame_changes_no_latent_before_its_own(tiny, unnormed):
    """Latent t stands for frames 2 t - 1 and 2 t, the first for frame 0."""
    step, x = steps(tiny)["encode"], INPUTS["encode"]
    plain = np.asarray(step(x, None)[0])
    for frame in (0, 1, 4, 7, 16):
        changed = x.copy()
        changed[:, frame] *= -1
        differs = (np.asarray(step(changed, None)[0]) != plain).any(axis=(0, 2, 3, 4))
        own = (frame + 1) // 2
        assert not differs[:own].any() and differs[own]


def test_a_latent_changes_no_frame_before_its_own(tiny, unnormed):
    step, z = steps(tiny)["decode"], INPUTS["decode"]
    plain = np.asarray(step(z, None)[0])
    for latent in range(5):
        changed = z.copy()
        changed[:, latent] *= -1
        differs = (np.asarray(step(changed, None)[0]) != plain).any(axis=(0, 2, 3, 4))
        own = max(0, 2 * latent - 1)
        assert not differs[:own].any() and differs[own]


CFG = VAEConfig(channels=(4, 6, 8, 10), layers_per_block=2, groups=2, latent_channels=5, temporal_stride=4)


def shape_of(build, *shapes):
    """Shapes of a level's result, from shapes alone; its cache is counted too."""
    graph, params = trees.abstract(build)

    def run(params, *arrays):
        cache = TimeCache(None)
        return nnx.merge(graph, params)(arrays[0], cache, *arrays[1:]), cache.future

    out, future = jax.eval_shape(run, params, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))
    return out.shape, len(future)


@pytest.mark.parametrize(
    "level, given, want",
    [
        (0, (1, 9, 16, 24, 4), (1, 5, 8, 12, 4)),
        (1, (1, 5, 8, 12, 4), (1, 3, 4, 6, 6)),
        (2, (1, 3, 4, 6, 6), (1, 3, 2, 3, 8)),  # of three halvings the first two are of time as well
        (3, (1, 3, 2, 3, 8), (1, 3, 2, 3, 10)),  # the last level halves nothing
    ],
)
def test_levels_of_the_encoder(level, given, want):
    assert shape_of(lambda: DownLevel(CFG, level, rngs=nnx.Rngs(0)), given) == (want, 2 * 2)


@pytest.mark.parametrize(
    "level, given, want",
    [
        (0, (1, 3, 2, 3, 10), (1, 5, 4, 6, 10)),
        (1, (1, 5, 4, 6, 10), (1, 9, 8, 12, 8)),
        (2, (1, 9, 8, 12, 8), (1, 9, 16, 24, 6)),
        (3, (1, 9, 16, 24, 6), (1, 9, 16, 24, 4)),
    ],
)
def test_levels_of_the_decoder_have_one_block_more(level, given, want):
    latents = (1, 3, 2, 3, CFG.latent_channels)
    assert shape_of(lambda: UpLevel(CFG, level, rngs=nnx.Rngs(0)), given, latents) == (want, 2 * 3)


@pytest.mark.parametrize(
    "coder, convolutions", [(Encoder, 1 + 4 * 2 * 2 + 2 * 2 + 1), (Decoder, 1 + 2 * 2 + 4 * 3 * 2 + 1)]
)
def test_every_causal_convolution_has_its_own_past(coder, convolutions):
    graph, params = trees.abstract(lambda: coder(CFG, rngs=nnx.Rngs(0)))
    given = (2, 9, 16, 24, 3) if coder is Encoder else (2, 3, 2, 3, CFG.latent_channels)
    want = (2, 3, 2, 3, 2 * CFG.latent_channels) if coder is Encoder else (2, 9, 16, 24, 3)
    out, cache = jax.eval_shape(lambda p, x: nnx.merge(graph, p)(x, None), params, jnp.zeros(given))
    assert out.shape == want and len(cache) == convolutions
    assert all(past.shape[:2] == (2, 2) for past in cache)


def test_the_first_chunk_has_no_past_and_later_ones_need_it(tiny):
    """The same frames after another past are other latents."""
    x = uniform(1, 17, 12, 16, 3)
    pasts = [encode_chunk(*tiny, sign * x[:, :9])[1] for sign in (1, -1)]
    after, elsewhere = (encode_chunk(*tiny, x[:, 9:], past)[0] for past in pasts)
    assert relative_error(after, elsewhere) > 1e-3


def test_latents_condition_every_norm_of_the_decoder(tiny):
    """Spatial norms made blind to their input: what is left is a function of the latents alone, and no constant."""
    flat = trees.flatten(tiny[1])
    blind = {path: value * 0 if path.endswith("conv_y/kernel") else value for path, value in flat.items()}
    blind = {path: value * 0 if path.endswith("conv_y/bias") else value for path, value in blind.items()}
    z = INPUTS["decode"][:, :3]
    frames = [decode_chunk(tiny[0], trees.unflatten(blind), latents)[0] for latents in (z, -z)]
    assert relative_error(*frames) > 1e-2


def test_a_chunk_comes_out_in_the_compute_type():
    half = VAEConfig(**{**CFG.__dict__, "dtype": "bfloat16", "param_dtype": "bfloat16"})
    graph, params = trees.abstract(lambda: vae.VAE(half, rngs=nnx.Rngs(0)))
    moments, cache = jax.eval_shape(
        lambda p, x: nnx.merge(graph, p).encode_chunk(x), params, jnp.zeros((1, 9, 16, 24, 3))
    )
    assert moments.dtype == jnp.bfloat16 and {past.dtype for past in cache} == {jnp.dtype("bfloat16")}
