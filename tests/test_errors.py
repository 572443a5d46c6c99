"""Ranges of numbers: ends in and out, what is not finite, the words of the message."""

import math
from types import SimpleNamespace

import pytest

from vp_jax.errors import UserError, check_numbers, escaped


def settings(**values):
    return SimpleNamespace(**values)


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_both_ends_of_a_range_are_in_it(value):
    check_numbers(settings(share=value), "share", 0, 1)


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf, -math.inf])
def test_numbers_out_of_range_or_not_finite_are_refused(value):
    with pytest.raises(UserError, match=rf"share {value}: expected 0 to 1"):
        check_numbers(settings(share=value), "share", 0, 1)


def test_a_range_without_end_still_wants_a_finite_number():
    check_numbers(settings(count=10**9), "count", 1)
    for value in (0, math.inf):
        with pytest.raises(UserError, match="expected 1 or more"):
            check_numbers(settings(count=value), "count", 1)


def test_above_leaves_the_least_out():
    check_numbers(settings(rate=0.001), "rate", above=True)
    with pytest.raises(UserError, match=r"^data\.rate 0: expected above 0$"):
        check_numbers(settings(rate=0), "rate", above=True, group="data.")


def test_the_first_of_several_that_is_wrong_is_named():
    with pytest.raises(UserError, match=r"^b -1"):
        check_numbers(settings(a=1, b=-1, c=-2), "a b c")


def test_messages_show_what_a_terminal_would_obey():
    error = UserError("\x1b[2Jgone.mp4:\nno such \udcff\u202efile \u2603 é")
    assert str(error) == r"\x1b[2Jgone.mp4:\nno such \udcff\u202efile ☃ é"
    assert escaped(str(error)) == str(error)
