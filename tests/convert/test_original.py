"""Descriptions of the original: every field of every kind with odd values, read by one function."""

import dataclasses
import json

import pytest

from vp_jax.convert import branch, dit, scheduler, t5, vae
from vp_jax.convert.original import Original
from vp_jax.errors import UserError
from vp_jax.models.config import T5Config

T5 = t5.config_to_torch(T5Config(vocab_size=32, dim=8, head_dim=4, ff_dim=16, num_layers=2, num_heads=2))
SCHEDULER = {
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": True,
}
READERS = {
    "transformer": (dit.config_from_torch, {}, dit.DIT_FIELDS),
    "branch": (branch.config_from_torch, {}, dit.DIT_FIELDS),
    "vae": (vae.config_from_torch, {}, vae.VAE_FIELDS),
    "text_encoder": (t5.config_from_torch, T5, t5.T5_FIELDS),
    "scheduler": (scheduler.config_from_torch, SCHEDULER, scheduler.SCHEDULER_FIELDS),
}
ODD = [-1, 0, 10**9, 10**400, 0.5, 3.5, 1e300, "x", "", [], [1], {}, {"a": 1}, True, False, float("nan"), float("inf")]
FIELDS = [
    (kind, field) for kind, (_, _, original) in READERS.items() for field in {**original.fields, **original.fixed}
]


@pytest.mark.parametrize("kind, field", FIELDS)
def test_odd_values_are_one_line_or_in_range(kind, field):
    read, usual, original = READERS[kind]
    refused = 0
    for odd in ODD:
        try:
            described = read({**usual, field: odd})
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 500
            refused += 1
            continue
        json.dumps(described if isinstance(described, dict) else dataclasses.asdict(described), allow_nan=False)
    assert refused >= len(ODD) / 2, refused


@pytest.mark.parametrize("kind", READERS)
def test_null_in_a_field_is_the_default_or_named(kind):
    read, usual, original = READERS[kind]
    for field in original.fields:
        try:
            read({**usual, field: None})
        except UserError as error:
            assert field in str(error)


@dataclasses.dataclass(frozen=True)
class Model:
    size: int
    deep: bool = False


ORIGINAL = Original(
    "model", {"n_size": "size", "is_deep": "deep"}, {"is_deep": False}, {"act": "silu"}, frozenset({"seed"})
)


def test_names_defaults_and_inert_fields():
    assert ORIGINAL.read(Model, {"n_size": 3, "seed": 7, "_class_name": "X"}) == Model(3)
    assert ORIGINAL.read(Model, {"n_size": 3, "act": "silu", "is_deep": True, "off": False}) == Model(3, True)
    assert ORIGINAL.write(Model(4, True)) == {"n_size": 4, "is_deep": True, "act": "silu"}


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, r"model config without \['n_size'\]: expected the config.json of the original model"),
        ({"n_size": "x"}, "model config: n_size 'x': expected a whole number"),
        ({"n_size": 3, "act": "relu"}, "model config: act = 'relu': expected 'silu', as in every CogVideoX"),
        ({"n_size": 3, "new": 1, "other": "y"}, "model config has new 1, other 'y': this model has no such feature"),
        ({"n_size": 3, "x" * 500: 1}, "model config has xxx"),
    ],
)
def test_faults_are_named_in_the_words_of_the_file(values, message):
    with pytest.raises(UserError, match=message) as caught:
        ORIGINAL.read(Model, values)
    assert len(str(caught.value)) < 600


def test_files_with_dozens_of_settings_may_have_others():
    assert dataclasses.replace(ORIGINAL, open=True).read(Model, {"n_size": 3, "new": 1}) == Model(3)
