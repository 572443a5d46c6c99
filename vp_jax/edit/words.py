"""Noun phrases of plain English: their determiner, adjectives and noun, and how an adjective takes another's place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

DETERMINERS = frozenset(
    "a an the this that these those one another some any each every all both two three four my your his her its our "
    "their".split()
)
PREPOSITIONS = frozenset(
    "on in at by with of to from under over above below behind beside near inside outside onto into across along "
    "through around between against next wearing holding sitting standing".split()
)
_CLASSES = {
    "size": "big bigger large larger huge giant small smaller tiny little tall taller short shorter long longer wide",
    "age": "old older new newer young younger modern ancient antique vintage",
    "look": "shiny matte transparent dirty clean rusty wet dry furry fluffy fat thin happy sad angry smiling broken "
    "open closed bald bright dark elegant colorful colourful glowing muddy snowy empty full fancy",
    "shade": "light pale deep neon pastel",
    "colour": "red orange yellow green cyan blue purple pink black white grey gray brown beige navy teal turquoise "
    "violet magenta maroon lilac mint cream scarlet crimson blond blonde ginger golden silver gold silvery",
    "pattern": "plain striped spotted dotted checkered chequered plaid patterned floral camouflage",
    "material": "wooden metal metallic glass stone marble leather plastic bronze copper brass crystal ceramic denim "
    "silk velvet chrome steel iron paper brick woollen knitted concrete",
}
CLASSES: dict[str, str] = {word: kind for kind, words in _CLASSES.items() for word in words.split()}
"""Class of each known adjective, in the order in which English puts them."""
_ORDER = {kind: number for number, kind in enumerate(_CLASSES)}
_MASS = frozenset(
    "water snow grass sand gold silver fire smoke fog ice wood hair fur rain flowers people children".split()
)


class Phrase(NamedTuple):
    """A noun phrase: "the | red striped | car | on the left"."""

    determiner: str
    adjectives: tuple[str, ...]
    noun: str
    rest: str = ""

    @property
    def core(self) -> str:
        """Adjectives and noun: what names the thing."""
        return " ".join((*self.adjectives, self.noun))

    @property
    def plural(self) -> bool:
        """Whether it takes no article."""
        last = self.noun.split()[-1].lower() if self.noun else ""
        return last in _MASS or (last.endswith("s") and not last.endswith(("ss", "us", "is")))

    def __str__(self) -> str:
        return " ".join(part for part in (self.determiner, *self.adjectives, self.noun, self.rest) if part)


def is_adjective(word: str) -> bool:
    """Whether a word is one of the adjectives that are known here."""
    return word.lower() in CLASSES


def adjectives_of(text: str) -> list[str] | None:
    """The adjectives of a text that holds nothing else ("dark blue", "red and white"); ``None`` for any other."""
    words = [word for word in re.split(r"[\s,]+", text.strip()) if word]
    found = [word for word in words if word.lower() not in ("and", "very", "all", "completely", "entirely", "or")]
    return words if found and all(is_adjective(word) for word in found) and "or" not in words else None


def phrase_of(text: str) -> Phrase:
    """Take a noun phrase apart; what stands behind the first preposition is its ``rest``."""
    words = text.split()
    determiner = words.pop(0) if words and words[0].lower() in DETERMINERS else ""
    if words and words[0].lower().endswith(("'s", "’s")) and len(words) > 1:
        determiner = f"{determiner} {words.pop(0)}".strip()
    end = next((i for i, word in enumerate(words) if i and word.lower() in PREPOSITIONS), len(words))
    start = 0
    while start < end - 1 and (is_adjective(words[start]) or words[start].lower() == "and"):
        start += 1
    return Phrase(determiner, tuple(words[:start]), " ".join(words[start:end]), " ".join(words[end:]))


def article(word: str) -> str:
    """The indefinite article before a word."""
    return "an" if word[:1].lower() in tuple("aeiou") and not word.lower().startswith(("uni", "eu", "one")) else "a"


def with_article(text: str) -> str:
    """A noun phrase with an indefinite article, where it has no determiner and needs one."""
    phrase = phrase_of(text)
    if phrase.determiner or phrase.plural:
        return text
    return f"{article(text)} {text}"


def changed(phrase: Phrase, adjectives: Sequence[str]) -> str:
    """A noun phrase with other adjectives: those of the same class make room, the others stay.

    ``the red striped car`` and ``blue`` -> ``a blue striped car``.
    """
    kinds = {CLASSES[word.lower()] for word in adjectives if is_adjective(word)}
    if kinds & {"shade", "colour"}:
        kinds |= {"shade", "colour"}
    kept = [word for word in phrase.adjectives if CLASSES.get(word.lower()) not in kinds and word.lower() != "and"]
    first = min((_ORDER[kind] for kind in kinds), default=0)
    before = [word for word in kept if _ORDER.get(CLASSES.get(word.lower(), ""), 0) < first]
    after = [word for word in kept if word not in before]
    words = " ".join([*before, *adjectives, *after, phrase.noun])
    return with_article(words) + (f" {phrase.rest}" if phrase.rest else "")
