"""The own part of JSON Schema agrees with the package of that name."""

import itertools

import jsonschema
import pytest

from vp_jax.vlm.json_schema import schema_fault

VALUES = [
    None,
    True,
    0,
    1,
    1.0,
    1.5,
    10,
    -3,
    "",
    "a",
    "abc",
    [],
    [1],
    ["a", "b", "c"],
    {},
    {"a": 1},
    {"a": "x", "b": 2},
]
SCHEMAS = [
    {},
    *({"type": kind} for kind in ("object", "array", "string", "number", "integer", "boolean", "null")),
    {"type": ["string", "null"]},
    {"enum": ["a", 1, None, True]},
    {"type": "string", "minLength": 1, "maxLength": 2},
    {"type": "number", "minimum": 1, "maximum": 5},
    {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string"}},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}},
    {"type": "object", "additionalProperties": False, "properties": {"a": {}, "c": {"type": "null"}}},
]


def test_it_says_what_jsonschema_says():
    for value, schema in itertools.product(VALUES, SCHEMAS):
        expected = jsonschema.Draft202012Validator(schema).is_valid(value)
        assert (schema_fault(value, schema) is None) == expected, (value, schema)


def test_faults_say_where_and_what():
    schema = {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "integer", "maximum": 3}}}}
    assert schema_fault({"list": [1, 9]}, schema) == "reply.list[1] 9: expected 3 or less"
    assert schema_fault("\x1b[2J", {"type": "null"}) == r"reply '\x1b[2J': expected null"


@pytest.mark.parametrize("schema", [{"pattern": "a"}, {"type": "text"}])
def test_a_schema_that_is_not_understood_is_never_ignored(schema):
    with pytest.raises(ValueError, match="not known"):
        schema_fault("a", schema)
