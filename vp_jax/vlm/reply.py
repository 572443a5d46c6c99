"""A model's text as the reply that was asked for. What a model says is data: it is checked, and never obeyed."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from vp_jax.errors import UserError, escaped
from vp_jax.reading import parse_json
from vp_jax.vlm.json_schema import schema_fault

_FENCE = re.compile(r"\A```\w*\s*\n(.*?)\n?\s*```\Z", re.DOTALL)
_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""What reasoning models write before their reply."""
MOST_REPLY = 20_000
"""Characters of the longest free text that is taken."""


class BadReply(Exception):
    """A reply that is not what was asked for; the message says why, in a line."""

    def __str__(self) -> str:
        return escaped(super().__str__())


def form_text(schema: dict[str, Any]) -> str:
    """The part of a question that asks for JSON; endpoints that know schemas are given it in their own field too."""
    return f"\n\nReply with one JSON object and nothing else. Its JSON schema: {json.dumps(schema)}"


def reply_of(text: str, schema: dict[str, Any] | None) -> dict[str, Any] | str:
    """The reply in a model's text.

    Args:
      text: what the model wrote; a Markdown fence around JSON and a leading ``<think>`` part are taken off.
      schema: see `vp_jax.vlm.protocol.Vlm.ask`.

    Raises:
      BadReply: empty, too long, with control characters, not JSON, or JSON that does not fit the schema.
    """
    text = _THOUGHTS.sub("", text).strip()
    if not text:
        raise BadReply("it is empty")
    if schema is None:
        if len(text) > MOST_REPLY:
            raise BadReply(f"it has {len(text)} characters, expected at most {MOST_REPLY}")
        _check_plain(text)
        return text
    fenced = _FENCE.match(text)
    try:
        values = parse_json((fenced[1] if fenced else text).encode("utf-8", "replace"), "it", "one JSON object")
    except UserError as error:
        raise BadReply(str(error)) from error
    if fault := schema_fault(values, schema):
        raise BadReply(fault)
    _check_plain_values(values)
    return values


def _check_plain(text: str) -> None:
    """Refuse what a terminal would obey; line breaks and tabs are text."""
    bad = sorted({c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t"})
    if bad:
        raise BadReply(f"it holds the control character {bad[0]!r}")


def _check_plain_values(value: object) -> None:
    if isinstance(value, str):
        _check_plain(value)
    elif isinstance(value, list):
        for item in value:
            _check_plain_values(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_plain(name)
            _check_plain_values(item)
