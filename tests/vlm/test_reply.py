"""A model's text as a reply."""

import pytest

from vp_jax.vlm.reply import MOST_REPLY, BadReply, reply_of

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    "text",
    ['{"a": "b"}', '```json\n{"a": "b"}\n```', ' \n```\n{"a": "b"}```', '<think>is it {"a"}?</think>\n{"a": "b"}'],
)
def test_json_is_found_in_what_models_put_around_it(text):
    assert reply_of(text, SCHEMA) == {"a": "b"}


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "empty"),
        ("<think>hm</think>", "empty"),
        ('Here: {"a": "b"}', "not JSON"),
        ('{"a": "b", "a": "c"}', "given twice"),
        ('{"a": NaN}', "not a JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": "\\u001b[2J"}', "control character"),
        ('{"a": 1}', "expected string"),
    ],
)
def test_what_is_no_such_object_is_refused_with_a_reason(text, reason):
    with pytest.raises(BadReply, match=reason):
        reply_of(text, SCHEMA)


def test_free_text_is_taken_within_limits():
    assert reply_of(" two\nlines ", None) == "two\nlines"
    with pytest.raises(BadReply, match=r"expected at most"):
        reply_of("x" * (MOST_REPLY + 1), None)
    with pytest.raises(BadReply, match="control character"):
        reply_of("a\x00b", None)
