"""The table of the text encoder: both ways, with the token table under either name, and its refusals."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from vp_jax import trees
from vp_jax.convert import engine
from vp_jax.convert import t5 as table
from vp_jax.errors import UserError
from vp_jax.models.config import T5Config
from vp_jax.models.t5 import T5Encoder

CFG = T5Config(vocab_size=11, dim=6, head_dim=4, ff_dim=10, num_layers=3, num_heads=2, buckets=8, max_distance=16)


@pytest.fixture(scope="module")
def params() -> trees.Tree:
    return trees.split(T5Encoder(CFG, rngs=nnx.Rngs(0)))[1]


@pytest.mark.parametrize(
    "names", [("shared.weight",), ("encoder.embed_tokens.weight",), ("shared.weight", "encoder.embed_tokens.weight")]
)
def test_token_table_under_either_name(params, names):
    source = engine.to_torch(params, table.RULES)
    embedding = source.pop("shared.weight")
    source.update({name: embedding for name in names})
    renamed = table.normalise(source)
    source = {renamed[key]: value for key, value in source.items()}
    got = trees.flatten(engine.to_ours(source, table.RULES, table.IGNORED, params))
    want = trees.flatten(params)
    assert got.keys() == want.keys()
    for path in want:
        np.testing.assert_array_equal(got[path], want[path], err_msg=path)


def test_a_file_without_token_table_is_refused(params):
    source = engine.to_torch(params, table.RULES)
    del source["shared.weight"]
    assert table.normalise(source) == {key: key for key in source}
    with pytest.raises(UserError, match=r"shared\.weight"):
        engine.to_ours(source, table.RULES, table.IGNORED, params)


def test_names_written_are_those_of_the_original(params):
    names = engine.to_torch(params, table.RULES)
    assert names["encoder.block.2.layer.1.DenseReluDense.wo.weight"].shape == (6, 10)
    assert names["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"].shape == (8, 2)
    assert not [name for name in names if "relative" in name and ".0.layer" not in name]


def test_config_round_trip():
    assert table.config_from_torch(table.config_to_torch(CFG)) == CFG


def test_config_of_an_older_file_has_the_published_defaults():
    values = table.config_to_torch(CFG)
    del values["relative_attention_max_distance"], values["layer_norm_epsilon"]
    got = table.config_from_torch(values)
    assert (got.max_distance, got.norm_eps) == (128, 1e-6)


def test_config_refusals():
    values = table.config_to_torch(CFG)
    with pytest.raises(UserError, match=r"feed_forward_proj 'relu': expected 'gated-gelu'"):
        table.config_from_torch({**values, "feed_forward_proj": "relu"})
    del values["d_kv"]
    with pytest.raises(UserError, match=r"without \['d_kv'\]"):
        table.config_from_torch(values)


def test_bfloat16_weights_are_kept(params):
    source = engine.to_torch(trees.cast(params, jnp.bfloat16), table.RULES)
    got = engine.to_ours(source, table.RULES, table.IGNORED, params)
    assert {leaf.dtype for leaf in trees.flatten(got).values()} == {jnp.dtype(jnp.bfloat16)}
