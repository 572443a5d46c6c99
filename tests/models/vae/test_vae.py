"""The VAE against diffusers, and its properties: chunks, streaming, slicing, types, full-size shapes, one trace."""

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
from tests.models.vae.oracle import build, channels_last, decode_both, encode_both
from tests.models.vae.tiny import TINY, decode, decode_chunk, encode, encode_chunk, uniform
from vp_jax import trees
from vp_jax.convert import engine
from vp_jax.convert import vae as table
from vp_jax.errors import UserError
from vp_jax.models.config import VAEConfig
from vp_jax.models.vae import vae

MANIFEST = Path(__file__).parents[2] / "manifests" / "cogvideox_vae.json"


@pytest.mark.parametrize(
    "frames,chunk,first",
    [(1, 8, 1), (5, 8, 5), (9, 8, 9), (12, 8, 12), (17, 8, 9), (49, 8, 9), (1, 2, 1), (2, 2, 2), (3, 2, 3), (13, 2, 3)],
)
def test_first_chunk_takes_the_remainder(frames, chunk, first):
    assert vae.split_first(frames, chunk) == first


@pytest.mark.slow
@pytest.mark.parametrize(
    "name,shape",
    [
        ("deep", (1, 1, 40, 24)),
        ("deep", (2, 5, 24, 40)),
        ("deep", (1, 49, 16, 24)),
        ("deep", (1, 12, 21, 27)),
        ("stride2", (1, 9, 12, 20)),
        ("stride2", (1, 17, 13, 10)),
        ("stride8", (1, 17, 24, 16)),
        ("winograd", (1, 17, 8, 12)),
        ("taps", (1, 17, 8, 12)),
    ],
)
def test_encode(name, shape):
    got, want = encode_both(name, shape)
    assert relative_error(got.mean_BThwC, channels_last(want.mean)) <= 1e-5
    assert relative_error(got.std_BThwC, channels_last(want.std)) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    "name,shape",
    [
        ("deep", (1, 1, 5, 3)),
        ("deep", (2, 2, 3, 5)),
        ("deep", (1, 13, 2, 3)),
        ("stride2", (1, 5, 3, 5)),
        ("stride8", (1, 3, 3, 2)),
        ("winograd", (1, 5, 4, 6)),
        ("taps", (1, 5, 4, 6)),
    ],
)
def test_decode(name, shape):
    got, want = decode_both(name, shape)
    assert relative_error(got, want) <= 1e-5


@pytest.mark.slow
def test_streaming_is_the_whole(tiny):
    graphdef, params = tiny
    z = uniform(1, 5, 3, 4, TINY.latent_channels)
    first, cache = decode_chunk(graphdef, params, z[:, :3])
    second, _ = decode_chunk(graphdef, params, z[:, 3:], cache)
    assert relative_error(decode(graphdef, params, z), jnp.concatenate([first, second], axis=1)) <= 1e-6
    x = uniform(1, 17, 12, 16, 3)
    first, cache = encode_chunk(graphdef, params, x[:, :9])
    second, _ = encode_chunk(graphdef, params, x[:, 9:], cache)
    mean = jnp.concatenate([first, second], axis=1)[..., : TINY.latent_channels]
    assert relative_error(encode(graphdef, params, x).mean_BThwC, mean) <= 1e-6


@pytest.mark.slow
def test_the_past_does_not_see_the_future(tiny):
    graphdef, params = tiny
    x = uniform(1, 17, 12, 16, 3)
    changed = x.copy()
    changed[:, 9:] *= -1
    a, b = (np.asarray(encode(graphdef, params, v).mean_BThwC) for v in (x, changed))
    assert np.array_equal(a[:, :5], b[:, :5]) and not np.allclose(a[:, 5:], b[:, 5:])


@pytest.mark.slow
@pytest.mark.parametrize("latents", [1, 2, 3, 4])
def test_a_clip_has_its_length_for_odd_and_even_latents(tiny, latents):
    """The first latent stands for one frame, also where their number is even."""
    z = uniform(1, 4, 3, 3, 4)
    model = nnx.merge(*tiny)
    got = model.decode_clip(jnp.asarray(z[:, :latents]))
    assert got.shape[1] == 2 * (latents - 1) + 1
    longer = z[:, :latents] if latents % 2 else np.concatenate([z[:, :latents], z[:, latents - 1 : latents]], axis=1)
    assert relative_error(got, decode(*tiny, longer)[:, : got.shape[1]]) <= 1e-5


@pytest.mark.slow
def test_slicing_changes_nothing(tiny):
    x, z = uniform(3, 9, 12, 16, 3), uniform(3, 3, 3, 4, TINY.latent_channels)
    sliced, whole = encode(*tiny, x, slicing=True), encode(*tiny, x)
    assert relative_error(sliced.mean_BThwC, whole.mean_BThwC) <= 1e-6
    assert relative_error(sliced.std_BThwC, whole.std_BThwC) <= 1e-6
    assert relative_error(decode(*tiny, z, slicing=True), decode(*tiny, z)) <= 1e-6


@pytest.mark.slow
def test_bfloat16_is_close(tiny):
    _, params = tiny
    x, z = uniform(1, 17, 12, 16, 3), uniform(1, 5, 3, 4, TINY.latent_channels)
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_tables_are_inverse():
    cfg, oracle, _, params = build("deep")
    back = engine.to_torch(params, table.RULES)
    weights = oracle.state_dict()
    assert set(back) == set(weights)
    assert all(np.array_equal(back[k], weights[k].numpy()) for k in back)
    assert table.config_from_torch(table.config_to_torch(cfg)) == cfg
