"""The text encoder against the transformers library at random tiny sizes, and by shape alone at full size."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.convert import engine
from vp_jax.convert import t5 as table
from vp_jax.models.config import T5Config
from vp_jax.models.t5 import T5Encoder, encode_text, position_buckets

CASES = {
    "plain": (T5Config(vocab_size=50, dim=32, head_dim=8, ff_dim=64, num_layers=2, num_heads=4), 20),
    "wide heads, beyond max_distance": (
        T5Config(vocab_size=41, dim=24, head_dim=16, ff_dim=40, num_layers=3, num_heads=3, buckets=8, max_distance=20),
        67,
    ),
    "one layer, 226 tokens": (
        T5Config(
            vocab_size=70,
            dim=48,
            head_dim=4,
            ff_dim=32,
            num_layers=1,
            num_heads=6,
            buckets=32,
            max_distance=128,
            norm_eps=1e-5,
        ),
        226,
    ),
}
MANIFEST = json.loads((Path(__file__).parents[1] / "manifests" / "t5_v1_1_xxl_encoder.json").read_text())


def reference(cfg: T5Config, seed: int) -> transformers.T5EncoderModel:
    """A random model with norms and position biases that matter."""
    torch.manual_seed(seed)
    model = transformers.T5EncoderModel(transformers.T5Config(**table.config_to_torch(cfg))).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" in name:
                value.uniform_(0.5, 1.5)
            if "relative" in name:
                value.normal_(0, 2.0)
    return model


def ours(cfg: T5Config, model: transformers.T5EncoderModel) -> T5Encoder:
    graphdef, like = trees.abstract(lambda: T5Encoder(cfg, rngs=nnx.Rngs(0)))
    source = {name: value.numpy() for name, value in model.state_dict().items()}
    return nnx.merge(graphdef, engine.to_ours(source, table.RULES, table.IGNORED, like))


@pytest.fixture(params=CASES, scope="module")
def pair(request):
    cfg, length = CASES[request.param]
    model = reference(cfg, seed=length)
    ids_BM = np.random.default_rng(length).integers(0, cfg.vocab_size, (2, length)).astype(np.int32)
    return cfg, model, ours(cfg, model), ids_BM


def test_equals_the_reference_without_mask(pair):
    _, model, t5, ids_BM = pair
    with torch.no_grad():
        want = model(torch.from_numpy(ids_BM).long()).last_hidden_state.numpy()
    assert relative_error(encode_text(t5, jnp.asarray(ids_BM)), want) <= 1e-5


@pytest.mark.slow
def test_equals_the_reference_with_mask(pair):
    _, model, t5, ids_BM = pair
    mask_BM = np.ones_like(ids_BM)
    mask_BM[0, 5:] = 0
    mask_BM[1, -1:] = 0
    with torch.no_grad():
        want = model(torch.from_numpy(ids_BM).long(), attention_mask=torch.from_numpy(mask_BM)).last_hidden_state
    assert relative_error(t5(jnp.asarray(ids_BM), jnp.asarray(mask_BM)), want.numpy()) <= 1e-5


def test_bfloat16_is_close_to_float32(pair):
    cfg, _, t5, ids_BM = pair
    ids_BM = jnp.asarray(ids_BM)
    half = dataclasses.replace(cfg, dtype="bfloat16", param_dtype="bfloat16")
    graphdef, _ = trees.abstract(lambda: T5Encoder(half, rngs=nnx.Rngs(0)))
    params = trees.cast(trees.split(t5)[1], jnp.bfloat16)
    got = encode_text(nnx.merge(graphdef, params), ids_BM)
    assert got.dtype == jnp.bfloat16
    assert relative_error(got.astype(jnp.float32), encode_text(t5, ids_BM)) <= 2e-2


@pytest.mark.slow
def test_scan_equals_the_loop_over_layers(pair):
    cfg, _, t5, ids_BM = pair
    ids_BM = jnp.asarray(ids_BM)
    buckets_MM = position_buckets(ids_BM.shape[1], cfg.buckets, cfg.max_distance)
    bias_1KMM = jnp.transpose(t5.relative_bias(jnp.asarray(buckets_MM)), (2, 0, 1))[None]
    x_BME = t5.embed(ids_BM)
    for layer in range(cfg.num_layers):
        block = jax.tree.map(lambda leaf, layer=layer: leaf[layer], t5.blocks)
        x_BME = block(x_BME, bias_1KMM, None)
    assert relative_error(t5(ids_BM), t5.norm_out(x_BME)) <= 1e-6


@pytest.mark.parametrize("buckets, max_distance", [(32, 128), (8, 20), (32, 64), (64, 1000), (16, 100)])
def test_position_buckets_equal_the_reference(buckets, max_distance):
    """Every distance up to 600, so every bucket edge, for which float32 rounding decides."""
    attention = transformers.models.t5.modeling_t5.T5Attention
    positions = torch.arange(600)
    want = attention._relative_position_bucket(
        positions[None, :] - positions[:, None], bidirectional=True, num_buckets=buckets, max_distance=max_distance
    )
    np.testing.assert_array_equal(position_buckets(600, buckets, max_distance), want.numpy())


@pytest.mark.slow
def test_padding_is_attended():
    """CogVideoX gives no mask: what stands in the padding changes the embeddings of the text."""
    cfg, _ = CASES["plain"]
    t5 = T5Encoder(cfg, rngs=nnx.Rngs(0))
    ids_BM = jnp.asarray([[5, 6, 1, 0, 0], [5, 6, 1, 7, 7]], jnp.int32)
    embeds_BME = encode_text(t5, ids_BM)
    assert relative_error(embeds_BME[0, :3], embeds_BME[1, :3]) > 1e-3


def test_full_size_has_a_home_for_every_tensor():
    """T5-v1.1-XXL, allocating nothing: every tensor of the checkpoint fills one slot, and none is left empty."""
    cfg = table.config_from_torch(MANIFEST["config"])
    _, like = trees.abstract(lambda: T5Encoder(cfg, rngs=nnx.Rngs(0)))
    source = {name: jax.ShapeDtypeStruct(tuple(shape), jnp.float32) for name, shape in MANIFEST["tensors"].items()}
    ledger = engine.plan(source, table.RULES, table.IGNORED, like)
    assert ledger.ignored == ("encoder.embed_tokens.weight",)
    assert sum(len(leaf.moves) for leaf in ledger.leaves.values()) == len(source) - 1
    count = trees.count_parameters(lambda: T5Encoder(cfg, rngs=nnx.Rngs(0)))
    assert count == MANIFEST["parameters"] == 4_762_310_656


def test_full_size_forward_shape():
    cfg = table.config_from_torch(MANIFEST["config"])
    graphdef, like = trees.abstract(lambda: T5Encoder(dataclasses.replace(cfg, dtype="bfloat16"), rngs=nnx.Rngs(0)))
    out = jax.eval_shape(
        lambda params, ids: encode_text(nnx.merge(graphdef, params), ids),
        like,
        jax.ShapeDtypeStruct((2, 226), jnp.int32),
    )
    assert (out.shape, out.dtype) == ((2, 226, 4096), jnp.bfloat16)
