"""T5-v1.1 encoder: names of the original checkpoint, both ways.

The token table is stored under one of two names, or under both: the same tensor, tied in the original program.
`normalise` brings a file with either name to the one this table knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vp_jax.convert.engine import Rule
from vp_jax.convert.original import Original
from vp_jax.errors import UserError
from vp_jax.models.config import T5Config
from vp_jax.reading import show

_TABLE, _TIED = "shared.weight", "encoder.embed_tokens.weight"
_ATTENTION = r"encoder\.block\.(\d+)\.layer\.0\.SelfAttention"
_FF = r"encoder\.block\.(\d+)\.layer\.1\.DenseReluDense"

RULES = [
    Rule(r"shared\.weight", "embed/embedding", "identity"),
    # the first block holds the position biases of all
    Rule(
        r"encoder\.block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\.weight",
        "relative_bias/embedding",
        "identity",
    ),
    Rule(_ATTENTION + r"\.q\.weight", "blocks/attn/to_q/kernel[{0}]", "linear"),
    Rule(_ATTENTION + r"\.k\.weight", "blocks/attn/to_k/kernel[{0}]", "linear"),
    Rule(_ATTENTION + r"\.v\.weight", "blocks/attn/to_v/kernel[{0}]", "linear"),
    Rule(_ATTENTION + r"\.o\.weight", "blocks/attn/to_out/kernel[{0}]", "linear"),
    Rule(r"encoder\.block\.(\d+)\.layer\.0\.layer_norm\.weight", "blocks/norm1/scale[{0}]", "identity"),
    Rule(_FF + r"\.wi_0\.weight", "blocks/ff/gate/kernel[{0}]", "linear"),
    Rule(_FF + r"\.wi_1\.weight", "blocks/ff/up/kernel[{0}]", "linear"),
    Rule(_FF + r"\.wo\.weight", "blocks/ff/down/kernel[{0}]", "linear"),
    Rule(r"encoder\.block\.(\d+)\.layer\.1\.layer_norm\.weight", "blocks/norm2/scale[{0}]", "identity"),
    Rule(r"encoder\.final_layer_norm\.weight", "norm_out/scale", "identity"),
]

IGNORED = [r"encoder\.embed_tokens\.weight"]
"""The second copy of the token table, in files that store both."""


def normalise(keys: Iterable[str]) -> dict[str, str]:
    """``{name in the file: name for the table}``, the same but for a token table stored only under its tied name."""
    keys = list(keys)
    alone = _TABLE not in keys
    return {key: _TABLE if alone and key == _TIED else key for key in keys}


T5_FIELDS = Original(
    "text encoder",
    fields={
        "vocab_size": "vocab_size",
        "d_model": "dim",
        "d_kv": "head_dim",
        "d_ff": "ff_dim",
        "num_layers": "num_layers",
        "num_heads": "num_heads",
        "relative_attention_num_buckets": "buckets",
        "relative_attention_max_distance": "max_distance",
        "layer_norm_epsilon": "norm_eps",
    },
    # absent in older files; the sizes have defaults in the original too, but those of another model (T5-small)
    defaults={"relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6},
    open=True,
)
_GATED = {"feed_forward_proj": "gated-gelu", "is_gated_act": True, "dense_act_fn": "gelu_new"}


def config_from_torch(values: dict[str, Any]) -> T5Config:
    """Description from the ``config.json`` of the text encoder.

    Raises:
      UserError: a size is missing or out of range, or the model is not a T5-v1.1 (another feed-forward).
    """
    missing = [key for key in T5_FIELDS.fields if key not in values and key not in T5_FIELDS.defaults]
    if missing:
        raise UserError(f"text encoder config without {missing}: expected the config.json of a T5-v1.1 encoder")
    for key, wanted in _GATED.items():
        got = values.get(key, None if key == "feed_forward_proj" else wanted)
        if got != wanted:
            raise UserError(f"text encoder with {key} {show(repr(got))[:60]}: expected {wanted!r} (T5-v1.1)")
    return T5_FIELDS.read(T5Config, values)


def config_to_torch(cfg: T5Config) -> dict[str, Any]:
    """The ``config.json`` of an encoder; inverse of `config_from_torch`."""
    return {
        "architectures": ["T5EncoderModel"],
        "model_type": "t5",
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "is_encoder_decoder": True,
        **T5_FIELDS.write(cfg),
    }
