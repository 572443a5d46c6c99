"""Items made in advance are the same ones, and what goes wrong while they are made is raised where they are used."""

import threading

import pytest

from vp_jax.media.ahead import ahead


def test_items_come_in_their_order_and_from_another_thread():
    made_by = []

    def items():
        for number in range(20):
            made_by.append(threading.current_thread())
            yield number

    assert list(ahead(items())) == list(range(20))
    assert threading.current_thread() not in made_by and len(set(made_by)) == 1


def test_an_error_comes_behind_the_items_before_it():
    def items():
        yield 1
        raise ValueError("the disk is gone")

    made = ahead(items())
    assert next(made) == 1
    with pytest.raises(ValueError, match="the disk is gone"):
        next(made)


def test_no_more_items_are_made_than_may_wait_and_none_after_it_is_closed():
    numbers = []

    def items():
        for number in range(100):
            numbers.append(number)
            yield number

    made = ahead(items(), most=2)
    assert [next(made), next(made)] == [0, 1]
    made.close()
    assert len(numbers) <= 4
