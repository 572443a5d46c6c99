"""Plain instructions by a grammar of imperative sentences; no model is needed, and nothing is guessed.

    make the dog a fox, turn X into Y, replace X with Y, swap X for Y           swap
    make the car blue, paint X Y, change the colour of X to Y                   change
    remove X, delete X, erase X, get rid of X, take X away                      remove
    add Y, put Y on X, give X Y                                                 add

What the grammar does not cover is refused with what to do: several edits in one sentence, pronouns, the picture as a
whole, motion, questions. `tests/edit/test_instruction.py` has the list on which it is measured.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import NamedTuple, NoReturn

from vp_jax.edit.words import (
    DETERMINERS,
    adjectives_of,
    changed,
    is_adjective,
    phrase_of,
    with_article,
)
from vp_jax.errors import UserError
from vp_jax.reading import show

ADD, REMOVED, CHANGE, SWAP = "add", "remove", "change", "swap"
EDITS = (ADD, REMOVED, CHANGE, SWAP)
OTHER_WAYS = "; or give `operation`, `target` and `caption`, or a model with `vlm`"
"""End of every refusal: what the command and the library take in place of a sentence."""
LONGEST = 300
"""Characters of the longest instruction."""


class EditInstruction(NamedTuple):
    """What an instruction asks for.

    Attributes:
      operation: one of `EDITS`.
      target: words of what is edited, as given ("the dog"); of an addition, of what it goes to, or "".
      result: what is seen there afterwards ("a fox", "a blue car"); "" of a removal.
      place: of an addition, where it goes ("on the man"), or "".
      adjectives: of a change, what the target becomes ("blue").
    """

    operation: str
    target: str
    result: str = ""
    place: str = ""
    adjectives: tuple[str, ...] = ()


_VERBS = (
    "make|turn|change|replace|swap|remove|delete|erase|add|put|place|insert|paint|recolor|recolour|color|colour|dye|"
    "transform|convert|give|take|get rid of|eliminate|draw|include|substitute|exchange|switch"
)
_FIRST_WORDS = sorted({verb.split()[0] for verb in _VERBS.split("|")} - {"get", "take", "give", "out"})
"""Verbs of which one is suggested for a word that is spelt much like it."""
_POLITE = re.compile(
    r"(?:(?:please|kindly|now|just|ok|okay|hey|hi)\b[, ]*|(?:can|could|would|will) you |"
    r"i(?:'d| would) like (?:you )?to |i want (?:you )?to |i need (?:you )?to |let(?:'s| us) |try to )+",
    re.IGNORECASE,
)
_TAIL = re.compile(r"[,\s]*\b(?:please|thanks|thank you)$", re.IGNORECASE)
_SCENE = re.compile(
    r"\s+(?:from|in|to|into|out of|throughout|of)\s+(?:the|this|my|that)\s+(?:entire |whole )?"
    r"(?:video|scene|clip|picture|image|footage|shot|film|movie|frame|frames)$",
    re.IGNORECASE,
)
_SEVERAL = re.compile(rf"(?:\band\b|\bthen\b|[,;.!]|\balso\b)\s+(?:then |also |please )*(?:{_VERBS})\b", re.IGNORECASE)
_NEGATED = re.compile(r"(?:do not|don't|dont|never|stop|avoid|without)\b", re.IGNORECASE)
_QUESTION = re.compile(
    r"(?:what|who|where|when|why|how|which|is|are|does|do|did|can i|should|was|were)\b", re.IGNORECASE
)
_PRONOUNS = frozenset(
    "it this that them these those him her he she they something someone somebody everything everyone everybody all "
    "anything stuff things nothing me us you".split()
)
_WHOLE = re.compile(
    r"(?:(?:the|this|my|a)\s+)?(?:entire |whole )?(?:video|scene|clip|picture|image|footage|shot|film|movie|frame|"
    r"background|foreground|style|lighting|weather|season|camera)s?",
    re.IGNORECASE,
)
_WHERE = re.compile(
    r"\s+((?:on top of|in front of|next to|to the (?:left|right) of|on|onto|in|into|to|at|behind|beside|under|above|"
    r"over|near|around|between|inside|below|across|along)\s+(.+))$",
    re.IGNORECASE,
)
_THING = rf"(?:{'|'.join(sorted(DETERMINERS))})\b"

_RULES: list[tuple[str, re.Pattern[str]]] = [
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in [
        ("vanish", r"make (?P<x>.+?) (?:disappear|vanish|go away|invisible)"),
        ("remove", r"take (?P<x>.+?) (?:away|out|off)"),
        (
            "remove",
            r"(?:remove|delete|erase|eliminate|get rid of|take (?:away|out)|cut out|paint out|clear away) (?P<x>.+)",
        ),
        ("reverse", r"substitute (?P<y>.+?) for (?P<x>.+)"),
        ("swap", r"(?:replace|exchange|substitute) (?P<x>.+?) (?:with|by|for|to) (?P<y>.+)"),
        ("swap", r"(?:swap|switch) (?P<x>.+?) (?:with|for|to|into|out for) (?P<y>.+)"),
        ("look", r"make (?P<x>.+?) (?:look like|resemble|appear as|look as) (?P<y>.+)"),
        ("look", r"make (?P<x>.+?) (?:look|appear|become|be|get) (?P<y>.+)"),
        ("colour", r"(?:change|set|switch|make|turn) the colou?r of (?P<x>.+?) (?:from .+? )?(?:in)?to (?P<y>.+)"),
        (
            "colour",
            r"(?:change|set|switch|make|turn) (?P<x>.+?)(?:'s|’s|s'|') colou?r (?:from .+? )?(?:in)?to (?P<y>.+)",
        ),
        ("into", r"(?:change|turn|transform|convert) (?P<x>.+?) from .+? (?:in)?to (?P<y>.+)"),
        ("into", r"(?:turn|transform|convert|change|make|morph) (?P<x>.+?) (?:in)?to (?P<y>.+)"),
        ("paint", r"(?:paint|recolou?r|colou?r|dye|tint) (?P<x>.+?) (?:in|to|into|with) (?P<y>.+)"),
        ("paint", r"(?:paint|recolou?r|colou?r|dye|tint) (?P<xy>.+)"),
        ("give", rf"give (?P<x>{_THING}.+?) (?P<y>{_THING}.+)"),
        ("add", r"(?:add|put|place|insert|draw|include) (?P<y>.+)"),
        ("become", r"(?:make|turn) (?P<xy>.+)"),
    ]
]


def parse_instruction(text: str) -> EditInstruction:
    """What an instruction asks for.

    Args:
      text: one imperative sentence in English.

    Raises:
      UserError: none of the forms above; the line says why, and that every part can be given by itself.
    """
    sentence = _cleaned(text)
    for kind, rule in _RULES:
        if found := rule.fullmatch(sentence):
            return _READERS[kind](found.groupdict(), text)
    if re.match(r"(?:replace|swap|switch|exchange|substitute)\b", sentence, re.IGNORECASE):
        _refuse(text, "it does not say what takes the place: replace X with Y")
    if re.match(r"(?:change|transform|convert)\b", sentence, re.IGNORECASE):
        _refuse(text, "it does not say into what: change X to Y")
    first, _, rest = sentence.partition(" ")
    near = difflib.get_close_matches(first.lower(), _FIRST_WORDS, 1, cutoff=0.75)
    if near and rest and first.lower() not in _FIRST_WORDS:
        _refuse(text, f"{first!r} is no verb that is known, did you mean '{near[0]} {rest}'?")
    _refuse(text, "expected make X Y, turn X into Y, replace X with Y, remove X, or add Y to X (in English)")


def _cleaned(text: str) -> str:
    """The sentence without courtesies, or a refusal of what is no single instruction."""
    sentence = " ".join(unicodedata.normalize("NFKC", text).replace("’", "'").split())
    if not sentence:
        raise UserError("instruction: it is empty, expected a sentence such as 'make the dog a fox'")
    if len(sentence) > LONGEST:
        raise UserError(f"instruction: {len(sentence)} characters, expected at most {LONGEST}")
    if not sentence.isprintable():
        _refuse(text, "it holds control characters")
    polite = _POLITE.match(sentence)
    sentence = sentence[polite.end() :] if polite else sentence
    asked = sentence.endswith("?")
    sentence = sentence.rstrip(" .!?")
    sentence = _SCENE.sub("", _TAIL.sub("", sentence).rstrip(" .!?,"))
    if _NEGATED.match(sentence):
        _refuse(text, "it says what not to do")
    if (asked and not polite) or _QUESTION.match(sentence):
        _refuse(text, "it is a question")
    if _SEVERAL.search(sentence):
        _refuse(text, "it gives several edits: run one after the other")
    return sentence


def _removal(found: dict[str, str], text: str) -> EditInstruction:
    target = re.sub(r"\s+from\s+.+$", "", found["x"], flags=re.IGNORECASE)
    return EditInstruction(REMOVED, _thing(target, text))


def _swapped(found: dict[str, str], text: str) -> EditInstruction:
    target, result = _thing(found["x"], text), _thing(found["y"], text)
    return EditInstruction(SWAP, target, with_article(result))


def _become(found: dict[str, str], text: str) -> EditInstruction:
    """``x`` becomes ``y``: adjectives change it, a thing takes its place."""
    words = adjectives_of(found["y"].removesuffix(" color").removesuffix(" colour"))
    if words is None:
        return _swapped(found, text)
    target = _thing(found["x"], text)
    return EditInstruction(CHANGE, target, changed(phrase_of(target), words), adjectives=tuple(words))


def _coloured(found: dict[str, str], text: str) -> EditInstruction:
    """As `_become`, where only a look can be meant; a word that is not known counts as one."""
    target, words = _thing(found["x"], text), found["y"].split()
    if len(words) > 3 or words[0].lower() in DETERMINERS:
        _refuse(text, f"{' '.join(words)!r} is no colour")
    return EditInstruction(CHANGE, target, changed(phrase_of(target), words), adjectives=tuple(words))


def _painted(found: dict[str, str], text: str) -> EditInstruction:
    if "xy" not in found:
        return _coloured(found, text)
    target, words = _split_look(found["xy"])
    if not words or not target:
        _refuse(text, "it does not say in which colour: paint X blue")
    return _coloured({"x": target, "y": " ".join(words)}, text)


def _made(found: dict[str, str], text: str) -> EditInstruction:
    """``make the dog a fox`` is split at its second determiner, ``make the car blue`` before its last adjectives."""
    words = found["xy"].split()
    second = next((i for i, word in enumerate(words) if i > 0 and word.lower() in ("a", "an", "another", "some")), 0)
    if second > (words[0].lower() in DETERMINERS):
        return _become({"x": " ".join(words[:second]), "y": " ".join(words[second:])}, text)
    target, look = _split_look(found["xy"])
    if not look or not target or target.lower() in DETERMINERS:
        _thing(" ".join(words[:2]), text)
        _refuse(text, "it is not clear what X becomes: make X blue, or make X a fox")
    return _become({"x": target, "y": " ".join(look)}, text)


def _split_look(text: str) -> tuple[str, list[str]]:
    """A target and the adjectives behind it."""
    words = text.split()
    start = len(words)
    while start and (is_adjective(words[start - 1].strip(",")) or (words[start - 1] == "and" and start < len(words))):
        start -= 1
    start += start < len(words) and words[start] == "and"
    return " ".join(words[:start]), [word.strip(",") for word in words[start:]]


def _added(found: dict[str, str], text: str) -> EditInstruction:
    thing, place, target = found["y"], "", ""
    if where := _WHERE.search(thing):
        thing, place, target = thing[: where.start()], where[1], _thing(where[2], text)
    return EditInstruction(ADD, target, with_article(_thing(thing, text)), place)


def _given(found: dict[str, str], text: str) -> EditInstruction:
    target = _thing(found["x"], text)
    return EditInstruction(ADD, target, with_article(_thing(found["y"], text)), f"on {target}")


_READERS = {
    **{"remove": _removal, "vanish": _removal, "swap": _swapped, "reverse": _swapped, "into": _become, "look": _become},
    **{"colour": _coloured, "paint": _painted, "become": _made, "add": _added, "give": _given},
}


def _thing(text: str, sentence: str) -> str:
    """Words that name one thing, or a refusal."""
    words = text.strip(" ,").strip("'\"")
    first = words.split()[0].lower() if words else ""
    if not words or (first in DETERMINERS and len(words.split()) == 1 and first not in _PRONOUNS):
        _refuse(sentence, "it does not say what is edited")
    if words.lower() in _PRONOUNS:
        _refuse(sentence, f"it does not say what {words.lower()!r} is")
    if _WHOLE.fullmatch(words):
        _refuse(sentence, f"{words!r} is the picture as a whole, and only a region can be edited")
    if re.search(r"\band\b (?:the|a|an|my|his|her)\b", words, re.IGNORECASE):
        _refuse(sentence, f"{words!r} are several things: run one edit after the other")
    return words


def _refuse(text: str, why: str) -> NoReturn:
    raise UserError(f"instruction {show(text)!r}: {why}{OTHER_WAYS}")
