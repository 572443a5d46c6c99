"""Captions after an edit, by rules: the words of the target give way to those of the result.

    a yellow spotted square pulses over brown dots        make the square red
    a red spotted square pulses over brown dots

A caption that does not name the target is left alone: ``None`` is returned.
"""

from __future__ import annotations

import re

from vp_jax.edit.instruction import ADD, CHANGE, REMOVED, SWAP, EditInstruction
from vp_jax.edit.words import (
    DETERMINERS,
    PREPOSITIONS,
    Phrase,
    article,
    changed,
    is_adjective,
    phrase_of,
)


def edited_caption(original: str, instruction: EditInstruction) -> str | None:
    """A caption of the edited video.

    Args:
      original: caption of the video as it is.
      instruction: what is asked for.

    Returns:
      The caption; ``None`` if the original one does not name the target.
    """
    if instruction.operation == ADD:
        return _with(original, instruction)
    words = original.split()
    span = _span(words, phrase_of(instruction.target))
    if span is None:
        return None
    start, end = span
    if instruction.operation == REMOVED:
        return _without(words, start, end)
    named = phrase_of(" ".join(words[start:end]))
    new = changed(named, instruction.adjectives) if instruction.operation == CHANGE else instruction.result
    if named.determiner.lower() in ("the", "this", "that") and instruction.operation == CHANGE:
        new = f"{named.determiner} {_bare(new)}"
    return " ".join([*words[:start], new, *words[end:]])


def region_caption(instruction: EditInstruction, background: str) -> str:
    """What the edited region shows: the result, or of a removal the background."""
    return background if instruction.operation == REMOVED else instruction.result


def negative_of_edit(instruction: EditInstruction) -> str | None:
    """What the edited video should not show: of a swap the thing that was there; ``None``: the job's own default."""
    if instruction.operation != SWAP:
        return None
    old, new = phrase_of(instruction.target), phrase_of(instruction.result)
    return None if old.noun.lower() == new.noun.lower() else old.core


def _span(words: list[str], target: Phrase) -> tuple[int, int] | None:
    """Where a caption names the target: the noun phrase that shares its noun and most of its adjectives."""
    noun = target.noun.lower().split()
    wanted = {word.lower() for word in target.adjectives}
    best: tuple[int, int, int] | None = None
    plain = [word.strip(",.;:").lower() for word in words]
    for place in range(len(words) - len(noun) + 1):
        if plain[place : place + len(noun)] != noun:
            continue
        start = place
        while start and (is_adjective(plain[start - 1]) or plain[start - 1] in wanted):
            start -= 1
        found = set(plain[start:place])
        start -= bool(start and plain[start - 1] in DETERMINERS)
        shared = len(found & wanted)
        if (not wanted or shared) and (best is None or shared > best[0]):
            best = (shared, start, place + len(noun))
    return best and (best[1], best[2])


def _without(words: list[str], start: int, end: int) -> str | None:
    """The caption without the clause that the target begins, or without the phrase and what joins it."""
    plain = [word.strip(",.;:").lower() for word in words]
    if start == 0 or plain[start - 1] == "and":
        stop = next((i for i in range(end, len(words)) if plain[i] == "and"), None)
        if stop is not None:  # "X runs and Y ..."
            kept = [*words[:start], *words[stop + 1 :]]
        else:  # "... and X runs over Z": what follows the place belongs to all
            place = next((i for i in range(end, len(words)) if plain[i] in PREPOSITIONS), len(words))
            kept = [*words[: max(start - 1, 0)], *words[place:]] if start else words[place + 1 :]
    else:
        join = start - (plain[start - 1] in (*PREPOSITIONS, "and"))
        kept = [*words[:join], *words[end:]]
    text = re.sub(r"\s+([,.;])", r"\1", " ".join(kept)).strip(" ,")
    return text or None


def _with(original: str, instruction: EditInstruction) -> str:
    place = f" {instruction.place}" if instruction.place else ""
    before, over, ground = original.rpartition(" over ")
    if over and not place:
        return f"{before} and {instruction.result}{over}{ground}"
    return f"{original.rstrip(' .')}, with {instruction.result}{place}"


def _bare(text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest if first in (article(rest), "a", "an") else text
