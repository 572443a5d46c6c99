"""Noun phrases: taken apart, and given other adjectives."""

import pytest

from vp_jax.edit.words import Phrase, adjectives_of, article, changed, phrase_of, with_article


@pytest.mark.parametrize(
    "text, phrase",
    [
        ("the red striped car on the left", Phrase("the", ("red", "striped"), "car", "on the left")),
        ("dog", Phrase("", (), "dog")),
        ("the man's hat", Phrase("the man's", (), "hat")),
        ("his old wooden boat", Phrase("his", ("old", "wooden"), "boat")),
        ("the orange", Phrase("the", (), "orange")),  # a fruit here: nothing stands behind it
        ("a glass of water", Phrase("a", (), "glass", "of water")),
        ("", Phrase("", (), "")),
    ],
)
def test_a_phrase_is_taken_apart(text, phrase):
    assert phrase_of(text) == phrase and str(phrase) == text


@pytest.mark.parametrize(
    "text, adjectives, result",
    [
        ("the red striped car", ["blue"], "a blue striped car"),
        ("the car", ["orange"], "an orange car"),
        ("a yellow spotted square", ["striped"], "a yellow striped square"),
        ("the light green door", ["white"], "a white door"),
        ("the old door", ["white"], "an old white door"),
        ("my shoes", ["purple"], "purple shoes"),
        ("the car on the hill", ["red"], "a red car on the hill"),
    ],
)
def test_adjectives_of_one_class_give_way(text, adjectives, result):
    assert changed(phrase_of(text), adjectives) == result


def test_only_adjectives_are_adjectives():
    assert adjectives_of("dark blue") == ["dark", "blue"] and adjectives_of("red and white") == ["red", "and", "white"]
    assert (
        adjectives_of("a fox") is adjectives_of("") is adjectives_of("run fast") is adjectives_of("red or blue") is None
    )


def test_articles():
    assert [article(word) for word in ("fox", "apple", "unicorn", "owl")] == ["a", "an", "a", "an"]
    assert [with_article(text) for text in ("fox", "the fox", "zebras", "sand", "glass of water")] == [
        "a fox",
        "the fox",
        "zebras",
        "sand",
        "a glass of water",
    ]
