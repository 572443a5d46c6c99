"""Answers of raters: read, checked against the key, and translated from tokens to methods.

{"study": "...", "rater": "7", "answers": [{"case": T, "shown": [T, T], "picked": {"background": T, ...}, ...}]}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vp_jax.errors import UserError
from vp_jax.reading import parse_json, read_bytes, read_json, show
from vp_jax.vpbench.study.built import ANSWER_FOLDER, KEY_FILE
from vp_jax.vpbench.study.design import QUESTIONS

_RATER = re.compile(r"[A-Za-z0-9_-]{1,40}")


class Choice(NamedTuple):
    """One answer: who picked which of the shown methods in which case.

    Attributes:
      rater, case, question: of the answer.
      picked: the method.
      shown: all methods that were to choose from.
      again: the rater had seen the case before.
    """

    rater: str
    case: str
    question: str
    picked: str
    shown: tuple[str, ...]
    again: bool = False


class Answers(NamedTuple):
    """Everything that a rater answered."""

    rater: str
    choices: list[Choice]


def study_key(folder: Path) -> dict[str, Any]:
    """The key of a study.

    Raises:
      UserError: there is none, or it is damaged.
    """
    if not (folder / KEY_FILE).is_file():
        raise UserError(f"{show(folder)} has no {KEY_FILE}: expected the folder of `vp-jax study build`")
    key = read_json(folder / KEY_FILE, "the key of a study")
    if not all(isinstance(key.get(name), kind) for name, kind in (("study", str), ("cases", dict), ("options", dict))):
        raise UserError(f"{show(folder / KEY_FILE)} is no key of a study: build the study again")
    return key


def read_answers(folder: Path, files: Sequence[Path] = ()) -> list[Answers]:
    """The answers of all raters.

    Args:
      folder: of the study; answers that were served lie in it.
      files: further ones that raters saved.

    Raises:
      UserError: no answers, those of another study, or a rater twice.
    """
    key = study_key(folder)
    paths = [*sorted((folder / ANSWER_FOLDER).glob("*.json")), *files]
    if not paths:
        raise UserError(f"{show(folder / ANSWER_FOLDER)} has no answers yet")
    found: dict[str, Answers] = {}
    for path in paths:
        answers = check_answers(read_bytes(path), show(path), key)
        if answers.rater in found:
            raise UserError(f"{show(path)}: rater {answers.rater} has answered in another file too, keep one of them")
        found[answers.rater] = answers
    return [*found.values()]


def check_answers(content: bytes, name: str, key: Mapping[str, Any]) -> Answers:
    """Answers out of the bytes of a file.

    Args:
      content: JSON.
      name: of the file, for messages.
      key: see `study_key`.

    Raises:
      UserError: not JSON, of another study, or a pick that was not shown.
    """
    values = parse_json(content, name, "answers of a study")
    if values.get("study") != key["study"]:
        raise UserError(f"{name}: answers of another study")
    rater, given = values.get("rater"), values.get("answers")
    if not isinstance(rater, str) or not _RATER.fullmatch(rater) or not isinstance(given, list):
        raise UserError(f"{name}: expected a rater of letters and digits, and a list of answers")
    choices: list[Choice] = []
    seen: set[str] = set()
    for number, answer in enumerate(given, 1):
        try:
            case, picked, tokens = answer["case"], answer["picked"], tuple(answer["shown"])
            methods = key["options"][case]
            shown = tuple(methods[token] for token in tokens)
            for question in QUESTIONS:
                if picked[question] not in tokens:
                    raise KeyError(picked[question])
                choices.append(Choice(rater, case, question, methods[picked[question]], shown, case in seen))
        except (KeyError, TypeError) as error:
            raise UserError(f"{name}: answer {number} does not fit the study ({error})") from error
        seen.add(case)
    return Answers(rater, choices)
