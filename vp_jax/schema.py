"""Typed values out of JSON: the one way in which descriptions of models are read.

A description is a frozen dataclass. Its annotations are the schema: plain types, ``X | None``, ``tuple[X, ...]``,
``Literal[...]``, other dataclasses, numbers with a range, and texts out of a list::

    @dataclasses.dataclass(frozen=True)
    class Config:
        layers: Annotated[int, Between(1, 1024)]
        dtype: Annotated[str, OneOf(("float32", "bfloat16"))] = "float32"
        rope: bool = True

    from_values(Config, {"layers": 42}, "transformer")

`NUMBERS` are the ranges of the numbers that users give to commands and functions; `check_number` holds them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

from vp_jax.errors import UserError

T = TypeVar("T")

MOST_FAULTS = 10
"""Faults named in one message."""


class Between(NamedTuple):
    """Range of a number, both ends in it; ``above``: ``least`` is not. Of a tuple: of its length."""

    least: float
    most: float = math.inf
    above: bool = False

    def __contains__(self, value: object) -> bool:
        assert isinstance(value, int | float)
        return self.least <= value <= self.most and not (self.above and value == self.least)

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"above {self.least:g}" if self.above else f"{self.least:g} or more"
        return f"{'above ' if self.above else ''}{self.least:g} to {self.most:g}"


class OneOf(NamedTuple):
    """The values that a text can have."""

    choices: tuple[str, ...]

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.choices))


class Number(NamedTuple):
    """A number that a user gives: its range, whether it is whole, and its unit for messages."""

    range: Between
    whole: bool = True
    unit: str = ""


_SCALE = Number(Between(-100, 100), whole=False)
NUMBERS: Mapping[str, Number] = {
    "steps": Number(Between(1, 1000)),
    "guidance": Number(Between(0, 100), whole=False),
    "clip_weight": Number(Between(0, 1), whole=False),
    "background_every": Number(Between(1, 1000)),
    "guidance_start": Number(Between(0, 1), whole=False),
    "guidance_stop": Number(Between(0, 1), whole=False),
    "seed": Number(Between(0, 2**32 - 1)),
    "window": Number(Between(1, 4097)),
    "id_scale": _SCALE,
    "lora_scale": _SCALE,
    "height": Number(Between(16, 8192)),
    "width": Number(Between(16, 8192)),
    "start": Number(Between(0, 2**31 - 1)),
    "stop": Number(Between(1, 2**31 - 1)),
    "fps": Number(Between(0.001, 100_000), whole=False),
    "folder_fps": Number(Between(0.001, 100_000), whole=False),
    "mask_id": Number(Between(-(2**63), 2**63 - 1)),
    "mask_dilate": Number(Between(0, 8192), unit=" pixels"),
    "grow": Number(Between(0, 8192), unit=" pixels"),
    "extend": Number(Between(0, 8192), unit=" pixels"),
    "extended_height": Number(Between(1, 16384), unit=" pixels"),
    "extended_width": Number(Between(1, 16384), unit=" pixels"),
    "quality": Number(Between(0, 51)),
    "feather": Number(Between(0, 1024), unit=" pixels"),
    "scale": Number(Between(-1e6, 1e6), whole=False),
    "num_layers": Number(Between(1, 1024)),
    "captions": Number(Between(1, 10**7)),
    "pieces": Number(Between(32, 64_000)),
}
"""Ranges by the name of the argument, which is also the flag's. They keep out what can only be a mistake."""


class _Wrong(Exception):
    """What was expected in the place of a value."""


def from_values(cls: type[T], values: object, what: str, names: Mapping[str, str] | None = None) -> T:
    """A description from JSON values; fields that are left out have the defaults of ``cls``.

    Args:
      cls: a dataclass, see the module.
      values: a JSON object whose names are fields of ``cls``.
      what: stands before the fields in messages: "transformer", "tokenizer".
      names: what the file calls a field, for the messages, where that differs.

    Raises:
      UserError: unknown or missing fields, wrong types, numbers out of their ranges, at most `MOST_FAULTS` of them in
        one message; or what ``cls`` itself refuses.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{what}: expected a JSON object, got {_show(values)}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    unknown = sorted(str(name) for name in values if name not in fields)
    if unknown:
        raise UserError(f"{what}: unknown fields {_shown(unknown)} for {cls.__name__}: expected among {sorted(fields)}")
    missing = [
        (names or {}).get(name, name)
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UserError(f"{what}: fields {_shown(missing)} of {cls.__name__} are missing")
    hints, read, faults = _hints(cls), {}, []  # type: ignore[arg-type]
    for name, value in values.items():
        try:
            read[name] = _value(hints[name], value)
        except _Wrong as wrong:
            faults.append(f"{(names or {}).get(name, name)} {_show(value)}: expected {wrong}")
    if faults:
        raise UserError(f"{what}: " + listed(faults))
    try:
        return cls(**read)
    except UserError as error:
        raise UserError(f"{what}: {error}") from error


def check_number(name: str, value: object) -> None:
    """Check a number of `NUMBERS`.

    Raises:
      UserError: ``value`` is no number, not whole where it has to be, not finite, or outside of its range.
    """
    limits, whole = NUMBERS[name], isinstance(value, numbers.Integral)
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or (limits.whole and not whole) or not (whole or math.isfinite(typing.cast(float, value))):
        fits = False
    else:
        fits = (int if whole else float)(typing.cast(float, value)) in limits.range
    if not fits:
        kind = ", a whole number" if limits.whole and not whole else ""
        raise UserError(f"{name} {_show(value, str)}: expected {_ends(limits.range)}{limits.unit}{kind}")


def _ends(limits: Between) -> str:
    least, most = (int(end) if float(end).is_integer() else end for end in limits[:2])
    return f"{least} to {most}"


def listed(faults: list[str], most: int = MOST_FAULTS) -> str:
    """Faults in one line, the first ``most`` of them."""
    return "; ".join(faults[:most]) + (f"; ... and {len(faults) - most} more" if len(faults) > most else "")


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _value(hint: Any, value: object) -> Any:
    """``value`` as the type ``hint``, or `_Wrong`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _in_range(_value(args[0], value), args[1:])
    if origin in (typing.Union, types.UnionType):
        return _optional(args, value)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in args):
            raise _Wrong(" or ".join(map(repr, args)))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _Wrong("a list")
        return tuple(_value(args[0], item) for item in value)
    if dataclasses.is_dataclass(hint):
        nested = typing.cast(type, hint)
        return from_values(nested, value, nested.__name__)
    return _plain(hint, value)


def _optional(args: tuple[Any, ...], value: object) -> Any:
    if value is None:
        return None
    try:
        return _value(next(arg for arg in args if arg is not type(None)), value)
    except _Wrong as wrong:
        raise _Wrong(f"{wrong}, or null") from wrong


def _plain(hint: Any, value: object) -> Any:
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int and number:
        if isinstance(value, float) and not value.is_integer():  # JSON has one kind of number: 4.0 is 4
            raise _Wrong("a whole number")
        return int(typing.cast(float, value))
    if hint is float and number:
        try:
            real = float(typing.cast(float, value))
        except OverflowError:
            real = math.inf
        if not math.isfinite(real):
            raise _Wrong("a finite number")
        return real
    words = {bool: "true or false", str: "a text", int: "a whole number", float: "a number"}
    raise _Wrong(words[hint])


def _in_range(value: Any, limits: tuple[Any, ...]) -> Any:
    for limit in limits:
        if isinstance(limit, OneOf):
            if value not in limit.choices:
                raise _Wrong(str(limit))
        elif isinstance(value, tuple):
            if len(value) not in limit:
                raise _Wrong(f"{limit} values")
        elif value is not None and value not in limit:
            raise _Wrong(f"a {'whole ' if isinstance(value, int) else ''}number, {limit}")
    return value


def _show(value: object, text_of: Callable[[object], str] = repr) -> str:
    try:
        text = text_of(value)
    except ValueError:  # an integer of thousands of digits
        text = "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:50]}..."


def _shown(names: list[str]) -> str:
    return f"{names}" if len(names) <= MOST_FAULTS else f"{names[:MOST_FAULTS]} and {len(names) - MOST_FAULTS} more"
