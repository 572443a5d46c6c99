"""The part of JSON Schema that questions here use, checked in 60 lines: no package of its own for a dozen keywords.

    {"type": "object", "required": ["name"], "additionalProperties": False,
     "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 80}}}

A keyword that is not in `KEYWORDS` is a mistake of the caller and raises; it is never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vp_jax.errors import escaped

KEYWORDS = frozenset(
    "type enum properties required additionalProperties items minItems maxItems minLength maxLength minimum maximum "
    "title description".split()
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_SIZES = {"minLength": str, "maxLength": str, "minItems": list, "maxItems": list}


def schema_fault(value: object, schema: Mapping[str, Any], place: str = "reply") -> str | None:
    """What is wrong with ``value``, in a line; ``None`` if it fits.

    Args:
      value: a JSON value.
      schema: its schema.
      place: where it stands, for the line.

    Raises:
      ValueError: a keyword or a type that is not known here.
    """
    if unknown := sorted(set(schema) - KEYWORDS):
        raise ValueError(f"JSON schema keywords {unknown} are not known, expected among {sorted(KEYWORDS)}")
    wanted = schema.get("type")
    kinds = [] if wanted is None else [wanted] if isinstance(wanted, str) else list(wanted)
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{place} {_short(value)}: expected {' or '.join(kinds)}"
    if "enum" in schema and not any(_equal(value, item) for item in schema["enum"]):
        return f"{place} {_short(value)}: expected one of {', '.join(map(repr, schema['enum']))}"
    return _size_fault(value, schema, place) or _inner_fault(value, schema, place)


def _equal(value: object, item: object) -> bool:
    """Equal as JSON: 1 is 1.0, but not true."""
    return value == item and isinstance(value, bool) == isinstance(item, bool)


def _is(value: object, kind: str) -> bool:
    if kind not in _TYPES:
        raise ValueError(f"JSON schema type {kind!r} is not known, expected one of {sorted(_TYPES)}")
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())


def _size_fault(value: object, schema: Mapping[str, Any], place: str) -> str | None:
    for keyword, kind in _SIZES.items():
        if keyword in schema and isinstance(value, kind):
            size, limit = len(value), schema[keyword]
            if size < limit if keyword.startswith("min") else size > limit:
                words = "at least" if keyword.startswith("min") else "at most"
                return f"{place} has {size} {'characters' if kind is str else 'items'}: expected {words} {limit}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        least, most = schema.get("minimum"), schema.get("maximum")
        if (least is not None and value < least) or (most is not None and value > most):
            ends = [f"{least} or more"] if least is not None else []
            ends += [f"{most} or less"] if most is not None else []
            return f"{place} {_short(value)}: expected {' and '.join(ends)}"
    return None


def _inner_fault(value: object, schema: Mapping[str, Any], place: str) -> str | None:
    if isinstance(value, list) and "items" in schema:
        faults = (schema_fault(item, schema["items"], f"{place}[{number}]") for number, item in enumerate(value))
        return next((fault for fault in faults if fault), None)
    if not isinstance(value, dict):
        return None
    known = schema.get("properties", {})
    if missing := [name for name in schema.get("required", ()) if name not in value]:
        return f"{place}: {', '.join(map(repr, missing))} missing"
    if not schema.get("additionalProperties", True) and (unknown := sorted(set(value) - set(known))):
        return f"{place}: unknown {', '.join(_short(name) for name in unknown[:5])}, expected among {sorted(known)}"
    faults = (schema_fault(value[name], inner, f"{place}.{name}") for name, inner in known.items() if name in value)
    return next((fault for fault in faults if fault), None)


def _short(value: object) -> str:
    text = escaped(repr(value))
    return text if len(text) <= 60 else f"{text[:50]}..."
