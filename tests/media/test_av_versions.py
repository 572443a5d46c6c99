"""Rates as PyAV's versions give them, and titles that are no UTF-8."""

from fractions import Fraction
from typing import NamedTuple

import av

from tests.source_films import film
from vp_jax.media.av_versions import ANY_TITLE, exact, exact_or_none, readable


class Kind(NamedTuple):
    numerator: int
    denominator: int


def test_a_ratio_of_any_kind_is_a_fraction():
    assert exact(Kind(30000, 1001)) == exact(Fraction(30000, 1001)) == Fraction(30000, 1001)
    assert exact(0) == 0 and isinstance(exact(25), Fraction)
    assert exact_or_none(None) is exact_or_none(0) is None and exact_or_none(Kind(1, 90000)) == Fraction(1, 90000)


def test_products_of_what_a_film_states_are_exact(tmp_path):
    with av.open(str(film(tmp_path / "a.mkv"))) as container:
        base = exact(container.streams.video[0].time_base)
        assert isinstance(base, Fraction) and base * 2**40 == Fraction(2**40, 1000)


def test_a_title_that_is_no_utf8_is_no_reason_to_refuse_a_film(tmp_path):
    path = film(tmp_path / "a.mkv", tags={"title": "Ende"})
    path.write_bytes(path.read_bytes().replace(b"Ende", b"End\xe9"))
    with av.open(str(path), **ANY_TITLE) as container:
        assert readable(container.metadata["title"]) == "End\N{REPLACEMENT CHARACTER}"
