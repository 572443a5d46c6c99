"""Properties of the VAE: chunks, streaming, slicing, tiling, types, full-size shapes, one trace."""

import dataclasses
import json
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.convert import vae as table
from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import convs, layers, tiling, vae

TINY = VAEConfig(
    channels=(4, 8),
    layers_per_block=1,
    groups=2,
    latent_channels=4,
    temporal_stride=2,
    sample_height=24,
    sample_width=40,
)
MANIFEST = Path(__file__).parent.parent / "manifests" / "cogvideox_vae.json"


@pytest.fixture(scope="module")
def tiny():
    graphdef, abstract = trees.abstract(lambda: vae.VAE(TINY, rngs=nnx.Rngs(0)))
    rng = np.random.default_rng(7)

    def draw(leaf):
        fan_in = np.prod(leaf.shape[:-1]) if len(leaf.shape) > 1 else 25
        return (rng.standard_normal(leaf.shape) / np.sqrt(fan_in)).astype(np.float32) + (leaf.shape == (8,))

    return graphdef, jax.tree.map(draw, abstract)


def encode(graphdef, params, video, **options):
    return jax.jit(lambda p, x: nnx.merge(graphdef, p).encode(x, **options))(params, video)


def decode(graphdef, params, latents, **options):
    return jax.jit(lambda p, z: nnx.merge(graphdef, p).decode(z, **options))(params, latents)


def uniform(*shape):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize(
    "frames,chunk,first",
    [(1, 8, 1), (5, 8, 5), (9, 8, 9), (12, 8, 12), (17, 8, 9), (49, 8, 9), (1, 2, 1), (2, 2, 2), (3, 2, 3), (13, 2, 3)],
)
def test_first_chunk_takes_the_remainder(frames, chunk, first):
    assert vae.split_first(frames, chunk) == first


@pytest.mark.parametrize("shape", [(1, 3, 4, 5, 3), (2, 8, 6, 4, 32), (1, 9, 4, 6, 40), (1, 1, 4, 4, 32)])
@pytest.mark.parametrize("name", ["taps", "winograd"])
def test_convolutions_agree(name, shape):
    B, F, H, W, C = shape
    x, kernel = uniform(B, F + 2, H, W, C), uniform(3, 3, 3, C, 7)
    want = convs.conv3d_xla(x, kernel)
    assert want.shape == (B, F, H, W, 7)
    assert relative_error(convs.CONV3D[name](x, kernel), want) <= 1e-6


@pytest.mark.parametrize(
    "size, window, stride, padding",
    [
        ((6, 8, 10, 5), 3, 1, ((1, 1), (1, 1))),
        ((4, 8, 10, 5), 3, 2, ((0, 1), (0, 1))),
        ((3, 7, 9, 5), 3, 2, ((0, 1), (0, 1))),
        ((5, 6, 4, 3), 2, 1, ((1, 1), (1, 1))),
        ((3, 70, 100, 4), 3, 1, ((1, 1), (1, 1))),
    ],
)
def test_derivatives_of_convolutions_are_xlas(size, window, stride, padding):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(size).astype(np.float32)
    kernel = rng.standard_normal((window, window, size[-1], 6)).astype(np.float32)

    def of(conv):
        return jax.jit(jax.grad(lambda *a: jnp.sin(0.1 * conv(*a)).sum(), argnums=(0, 1)))(x, kernel)

    want = of(
        lambda x, k: jax.lax.conv_general_dilated(
            x, k, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    )
    for got, expected in zip(of(lambda x, k: convs.frame_conv(x, k, stride, padding)), want):
        assert relative_error(got, expected) <= 1e-5


def test_upsample_is_copy_then_convolve():
    cfg = dataclasses.replace(TINY, dtype="float32")
    module = layers.Upsample(cfg, 8, time=True, rngs=nnx.Rngs(3))
    x = uniform(1, 3, 4, 5, 8)
    copied = jnp.repeat(jnp.repeat(x, 2, axis=2), 2, axis=3)
    copied = jnp.concatenate([copied[:, :1], jnp.repeat(copied[:, 1:], 2, axis=1)], axis=1)
    assert relative_error(module(x), convs.conv2d(copied, module.kernel[...])) <= 1e-6


def test_group_norm_is_its_formula():
    x = 3 + uniform(2, 3, 4, 5, 8)
    grouped = x.astype(np.float64).reshape(2, 60, 2, 4)
    spread = grouped.var((1, 3), keepdims=True)
    want = (grouped - grouped.mean((1, 3), keepdims=True)) / np.sqrt(spread + 1e-4)
    module = layers.GroupNorm(TINY, 8, 1e-4)
    assert relative_error(module(x), want.reshape(x.shape)) <= 1e-6
    module.scale[...], module.bias[...] = uniform(8), uniform(16)[8:]
    assert relative_error(module(x), want.reshape(x.shape) * uniform(8) + uniform(16)[8:]) <= 1e-6


def test_streaming_is_the_whole(tiny):
    graphdef, params = tiny
    decode_chunk = jax.jit(lambda p, *chunk: nnx.merge(graphdef, p).decode_chunk(*chunk))
    encode_chunk = jax.jit(lambda p, *chunk: nnx.merge(graphdef, p).encode_chunk(*chunk))
    z = uniform(1, 5, 3, 4, TINY.latent_channels)
    first, cache = decode_chunk(params, z[:, :3])
    second, _ = decode_chunk(params, z[:, 3:], cache)
    assert relative_error(decode(graphdef, params, z), jnp.concatenate([first, second], axis=1)) <= 1e-6
    x = uniform(1, 17, 12, 16, 3)
    first, cache = encode_chunk(params, x[:, :9])
    second, _ = encode_chunk(params, x[:, 9:], cache)
    mean = jnp.concatenate([first, second], axis=1)[..., : TINY.latent_channels]
    assert relative_error(encode(graphdef, params, x).mean_BThwC, mean) <= 1e-6


def test_the_past_does_not_see_the_future(tiny):
    graphdef, params = tiny
    x = uniform(1, 17, 12, 16, 3)
    changed = x.copy()
    changed[:, 9:] *= -1
    a, b = (np.asarray(encode(graphdef, params, v).mean_BThwC) for v in (x, changed))
    assert np.array_equal(a[:, :5], b[:, :5]) and not np.allclose(a[:, 5:], b[:, 5:])


def test_slicing_changes_nothing(tiny):
    x, z = uniform(3, 9, 12, 16, 3), uniform(3, 3, 3, 4, TINY.latent_channels)
    sliced, whole = encode(*tiny, x, slicing=True), encode(*tiny, x)
    assert relative_error(sliced.mean_BThwC, whole.mean_BThwC) <= 1e-6
    assert relative_error(sliced.std_BThwC, whole.std_BThwC) <= 1e-6
    assert relative_error(decode(*tiny, z, slicing=True), decode(*tiny, z)) <= 1e-6


def test_small_clips_are_not_tiled(tiny):
    z = uniform(1, 3, 4, 6, TINY.latent_channels)
    assert tiling.decode_plan(TINY, 6, 10) is None and tiling.encode_plan(TINY, 12, 20) is None
    assert np.array_equal(decode(*tiny, z, tiling=True), decode(*tiny, z))


def test_tiles_that_miss_the_latent_grid_are_named():
    cfg = dataclasses.replace(VAEConfig(), sample_height=64)
    with pytest.raises(UserError, match="tiles of 32 pixels in height do not overlap by whole latent cells"):
        tiling.decode_plan(cfg, 60, 90)


def test_tiles_at_full_size():
    rows, columns = tiling.encode_plan(VAEConfig(), 480, 720)
    assert (rows.starts, rows.sizes, rows.keep) == ((0, 200, 400), (240, 240, 80), 25)
    assert (columns.starts, columns.sizes, columns.keep) == ((0, 288, 576), (360, 360, 144), 36)
    rows, _ = tiling.encode_plan(VAEConfig(), 405, 720)
    assert rows.starts == (0, 200), "5 pixels make no latent row"


def test_fade_goes_from_the_neighbour_to_the_tile():
    mixed = tiling.fade(jnp.zeros((1, 1, 4, 1, 1)), jnp.ones((1, 1, 6, 1, 1)), 4, axis=2)
    np.testing.assert_allclose(mixed.ravel(), [0, 0.25, 0.5, 0.75, 1, 1])


@pytest.mark.parametrize("name", list(convs.CONV3D))
def test_convolutions_in_bfloat16(name):
    x, kernel = uniform(1, 7, 6, 6, 32), uniform(3, 3, 3, 32, 8)
    got = convs.CONV3D[name](x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16))
    assert got.dtype == jnp.bfloat16
    assert relative_error(got, convs.conv3d_xla(x, kernel)) <= 1e-2


def test_bfloat16_is_close(tiny):
    _, params = tiny
    x, z = uniform(1, 9, 16, 24, 3), uniform(1, 3, 4, 6, TINY.latent_channels)
    cfg = dataclasses.replace(TINY, dtype="bfloat16", param_dtype="bfloat16")
    graphdef, _ = trees.abstract(lambda: vae.VAE(cfg, rngs=nnx.Rngs(0)))
    half = trees.cast(params, jnp.bfloat16)
    got, want = encode(graphdef, half, x), encode(*tiny, x)
    assert got.mean_BThwC.dtype == jnp.float32
    assert relative_error(got.mean_BThwC, want.mean_BThwC) <= 2e-2
    assert relative_error(got.std_BThwC, want.std_BThwC) <= 2e-2
    assert relative_error(decode(graphdef, half, z), decode(*tiny, z)) <= 2e-2


def test_posterior_sample_and_clamp(tiny):
    posterior = vae.Posterior(jnp.full((1, 1, 1, 1, 2), 3.0), jnp.full((1, 1, 1, 1, 2), 0.5))
    np.testing.assert_allclose(posterior.sample(jnp.full((1, 1, 1, 1, 2), -2.0)), 2.0)
    graphdef, params = tiny
    flat = trees.flatten(params)
    flat["encoder/conv_out/bias"] = flat["encoder/conv_out/bias"] + 1e4
    std = encode(graphdef, trees.unflatten(flat), uniform(1, 1, 8, 8, 3)).std_BThwC
    np.testing.assert_allclose(std, np.exp(10.0), rtol=1e-5)


def test_scaling():
    z = jnp.ones(())
    plain, inverted = VAEConfig(scaling_factor=0.5), VAEConfig(scaling_factor=0.5, invert_scale=True)
    assert [float(vae.scale(c, z, image=i)) for c in (plain, inverted) for i in (False, True)] == [0.5, 0.5, 0.5, 2.0]
    assert float(vae.unscale(inverted, vae.scale(inverted, z))) == 1.0


def test_one_trace_for_clips_of_one_shape(tiny):
    graphdef, params = tiny

    @jax.jit
    @chex.assert_max_traces(n=1)
    def run(params, x):
        return nnx.merge(graphdef, params).encode(x)

    chex.clear_trace_counter()
    a, b = (run(params, sign * uniform(1, 9, 8, 8, 3)).mean_BThwC for sign in (1, -1))
    assert not np.allclose(a, b)


def test_program_does_not_grow_with_the_clip(tiny):
    graphdef, params = tiny

    def lines(latents):
        z = jax.ShapeDtypeStruct((1, latents, 3, 4, TINY.latent_channels), jnp.float32)
        return jax.jit(lambda p, z: nnx.merge(graphdef, p).decode(z)).lower(params, z).as_text().count("\n")

    assert lines(33) == lines(13)


def test_full_size_has_a_home_for_every_tensor():
    manifest = json.loads(MANIFEST.read_text())
    cfg = table.config_from_torch(manifest["config"])
    assert cfg == VAEConfig()
    _, abstract = trees.abstract(lambda: vae.VAE(cfg, rngs=nnx.Rngs(0)))
    leaves = trees.flatten(abstract)
    homes = {}
    for key, shape in manifest["tensors"].items():
        ((rule, slot),) = [(rule, slot) for rule in table.RULES if (slot := rule.place(key))]
        assert slot.path not in homes, f"{key} and {homes[slot.path]} share {slot.path}"
        homes[slot.path] = key
        order = {"conv3d": (2, 3, 4, 1, 0), "conv2d": (2, 3, 1, 0), "identity": (0,)}[rule.transform]
        assert leaves[slot.path].shape == tuple(shape[i] for i in order), key
    assert set(homes) == set(leaves)
    assert trees.count_parameters(lambda: vae.VAE(cfg, rngs=nnx.Rngs(0))) == manifest["parameters"] == 215_583_907


def test_full_size_shapes():
    cfg = VAEConfig(dtype="bfloat16", param_dtype="bfloat16")
    graphdef, abstract = trees.abstract(lambda: vae.VAE(cfg, rngs=nnx.Rngs(0)))
    video = jax.ShapeDtypeStruct((1, 49, 480, 720, 3), jnp.float32)
    latents = jax.ShapeDtypeStruct((1, 13, 60, 90, 16), jnp.float32)
    z = jax.eval_shape(lambda p, x: nnx.merge(graphdef, p).encode(x), abstract, video)
    x = jax.eval_shape(lambda p, z: nnx.merge(graphdef, p).decode(z, tiling=True), abstract, latents)
    assert z.mean_BThwC.shape == latents.shape and x.shape == video.shape


@pytest.mark.parametrize(
    "fields,message",
    [
        ({"conv": "fft"}, "conv 'fft': expected"),
        ({"temporal_stride": 3}, "temporal_stride 3: expected a power of 2"),
        ({"temporal_stride": 16}, "power of 2 up to 8"),
        ({"groups": 3}, "multiples of the 3 norm groups"),
    ],
)
def test_bad_descriptions_are_named(fields, message):
    with pytest.raises(UserError, match=message):
        VAEConfig(**fields)


@pytest.mark.parametrize(
    "values,message",
    [
        ({"use_quant_conv": True}, "use_quant_conv = True: expected False"),
        ({"block_out_channels": "128"}, "block_out_channels '128': expected a list"),
    ],
)
def test_bad_checkpoints_are_named(values, message):
    with pytest.raises(UserError, match=message):
        table.config_from_torch(values)
