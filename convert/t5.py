"""T5-v1.1 encoder: names of the original checkpoint, both ways.

The token table is stored under one of two names, or under both: the same tensor, tied in the original program.
`normalise` brings a file with either name to the one this table knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vp_jax.convert.engine import Rule
from vp_jax.errors import UserError
from vp_jax.models.config import T5Config

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


_FIELDS = {
    "vocab_size": "vocab_size",
    "d_model": "dim",
    "d_kv": "head_dim",
    "d_ff": "ff_dim",
    "num_layers": "num_layers",
    "num_heads": "num_heads",
    "relative_attention_num_buckets": "buckets",
    "relative_attention_max_distance": "max_distance",
    "layer_norm_epsilon": "norm_eps",
}
_OPTIONAL = ("relative_attention_max_distance", "layer_norm_epsilon")  # absent in older files


def config_from_torch(values: dict[str, Any]) -> T5Config:
    """Description from the ``config.json`` of the text encoder.

    Raises:
      UserError: a size is missing, or the model is not a T5-v1.1 (another feed-forward).
    """
    missing = [key for key in _FIELDS if key not in values and key not in _OPTIONAL]
    if missing:
        raise UserError(f"text encoder config without {missing}: expected the config.json of a T5-v1.1 encoder")
    ff = values.get("feed_forward_proj")
    if ff != "gated-gelu":
        raise UserError(f"text encoder with feed_forward_proj {ff!r}: expected 'gated-gelu' (T5-v1.1)")
    return T5Config(**{field: values[key] for key, field in _FIELDS.items() if key in values})


def config_to_torch(cfg: T5Config) -> dict[str, Any]:
    """The ``config.json`` of an encoder; inverse of `config_from_torch`."""
    sizes = {key: getattr(cfg, field) for key, field in _FIELDS.items()}
    return {
        "architectures": ["T5EncoderModel"],
        "model_type": "t5",
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        "is_encoder_decoder": True,
        **sizes,
    }
