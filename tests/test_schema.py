"""Values out of JSON: types, ranges, choices, defaults, and every fault named."""

import dataclasses
import math
from typing import Annotated, Literal

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.schema import MOST_FAULTS, NUMBERS, Between, OneOf, check_number, from_values, listed


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    count: Annotated[int, Between(1, 10)]
    ratio: Annotated[float, Between(0, 1, above=True)] = 0.5
    flag: bool = False
    name: str = "x"
    kind: Annotated[str, OneOf(("a", "b"))] = "a"
    only: Literal["v"] = "v"
    maybe: Annotated[int, Between(2, 4)] | None = None
    sizes: Annotated[tuple[Annotated[int, Between(1, 5)], ...], Between(1, 3)] = (1,)
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.count == 9:
            raise UserError("count 9 is not wanted")


def refused(values):
    with pytest.raises(UserError) as caught:
        from_values(Outer, values, "thing")
    assert str(caught.value).startswith("thing: ") and "\n" not in str(caught.value)
    return str(caught.value)


def test_every_type_and_the_defaults():
    assert from_values(Outer, {"count": 3}, "thing") == Outer(3)
    got = from_values(
        Outer,
        {"count": 4.0, "ratio": 1, "flag": True, "kind": "b", "maybe": 2, "sizes": [5, 1], "inner": {"size": 7}},
        "thing",
    )
    assert got == Outer(4, 1.0, True, "x", "b", "v", 2, (5, 1), Inner(7))
    assert type(got.count) is int and type(got.ratio) is float
    assert from_values(Outer, {"count": 3, "maybe": None}, "thing").maybe is None


@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("count", 0, "count 0: expected a whole number, 1 to 10"),
        ("count", 11, "1 to 10"),
        ("count", 2.5, "count 2.5: expected a whole number"),
        ("count", True, "count True: expected a whole number"),
        ("count", "3", "count '3': expected a whole number"),
        ("count", None, "count None: expected a whole number"),
        ("count", 10**5000, "thousands of digits"),
        ("ratio", 0, "ratio 0: expected a number, above 0 to 1"),
        ("ratio", 1.5, "above 0 to 1"),
        ("ratio", math.nan, "ratio nan: expected a finite number"),
        ("ratio", math.inf, "expected a finite number"),
        ("ratio", 10**400, "expected a finite number"),
        ("ratio", [], "ratio []: expected a number"),
        ("flag", 1, "flag 1: expected true or false"),
        ("name", 1, "name 1: expected a text"),
        ("kind", "c", "kind 'c': expected one of 'a', 'b'"),
        ("kind", {}, "kind {}: expected a text"),
        ("only", "w", "only 'w': expected 'v'"),
        ("maybe", 5, "maybe 5: expected a whole number, 2 to 4, or null"),
        ("sizes", [], "sizes []: expected 1 to 3 values"),
        ("sizes", [1, 2, 3, 4], "1 to 3 values"),
        ("sizes", [1, 6], "expected a whole number, 1 to 5"),
        ("sizes", "12", "sizes '12': expected a list"),
        ("inner", 3, "Inner: expected a JSON object, got 3"),
        ("inner", {"size": "x"}, "size 'x': expected a whole number"),
        ("count", 9, "count 9 is not wanted"),
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) else "number",
)
def test_a_wrong_value_is_named_with_what_was_expected(field, value, expected):
    values = {"count": 3, **{field: value}}
    if field == "inner":
        with pytest.raises(UserError) as caught:
            from_values(Outer, values, "thing")
        assert expected in str(caught.value)
    else:
        assert expected in refused(values)


def test_unknown_and_missing_fields_are_named():
    assert "unknown fields ['cuont'] for Outer: expected among ['count'" in refused({"cuont": 3})
    assert "fields ['count'] of Outer are missing" in refused({})
    assert "got [1]" in refused([1])
    with pytest.raises(UserError, match=r"fields \['theirs'\] of Outer are missing"):
        from_values(Outer, {}, "thing", {"count": "theirs"})
    with pytest.raises(UserError, match="theirs 'x': expected a whole number"):
        from_values(Outer, {"count": "x"}, "thing", {"count": "theirs"})


def test_all_faults_at_once_but_ten_at_most():
    message = refused({"count": 0, "flag": 3, "name": 4})
    assert "count 0" in message and "flag 3" in message and "name 4" in message
    line = listed([f"fault {i}" for i in range(25)])
    assert line.count("fault") == MOST_FAULTS and line.endswith("... and 15 more")


def test_a_range_says_what_it_is():
    assert str(Between(1)) == "1 or more" and str(Between(0, above=True)) == "above 0"
    assert 1 in Between(1, 2) and 1 not in Between(1, 2, above=True) and 2 in Between(1, 2) and 3 not in Between(1, 2)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e38, 10**30, "1", None, True, [1]])
def test_no_number_of_a_user_may_be_odd(name, value):
    with pytest.raises(UserError, match=f"^{name} .*: expected .* to ") as caught:
        check_number(name, value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("name, number", NUMBERS.items())
def test_both_ends_of_a_range_are_in_it_and_nothing_beyond(name, number):
    least, most = ((int if number.whole else float)(end) for end in number.range[:2])
    check_number(name, least)
    check_number(name, min(most, 2**63 - 1))
    for value in (least - 1, 2 * most):
        with pytest.raises(UserError, match=f"{name} "):
            check_number(name, value)


def test_numbers_of_numpy_are_numbers():
    check_number("steps", np.int64(50))
    check_number("guidance", np.float32(6))
    with pytest.raises(UserError, match=r"steps 50\.0: expected 1 to 1000, a whole number"):
        check_number("steps", np.float32(50))


def test_a_number_of_thousands_of_digits_is_one_short_line():
    with pytest.raises(UserError, match="seed a number of thousands of digits: expected 0 to 4294967295"):
        check_number("seed", 10**5000)
