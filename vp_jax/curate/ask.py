"""The vision-language model of a worker: connected once in each process."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from vp_jax.curate.asking import one_by_one
from vp_jax.curate.store import TryAgain
from vp_jax.errors import UserError
from vp_jax.vlm.protocol import Question


@functools.cache
def _connected(model: str) -> Any:
    from vp_jax.vlm import connect

    return connect(model)


def connected(model: str) -> Any:
    """The model that ``model`` names. Raises `TryAgain` if `vp_jax.vlm.connect` does not take the name."""
    try:
        return _connected(model)
    except UserError as error:
        raise TryAgain(f"{model}: {error}") from error


def takes_batches(model: str) -> bool:
    """Whether a model answers several questions at once: models of this process do, endpoints get one at a time."""
    return model.startswith("local:")


def ask_all(model: str, vlm: Any, questions: Sequence[Question]) -> list[Any]:
    """The answers of a model, in order: JSON of the questions' schemas, or `TryAgain` where none can be used.

    Args:
      model: its name.
      vlm: the model, of `connected`.
      questions: about frames uint8 HWC.
    """
    if takes_batches(model) and len(questions) > 1:
        found = vlm.ask_all(questions)
    else:
        found = one_by_one(lambda question: vlm.ask(*question), questions)
    return [_checked(model, answer) for answer in found]


def _checked(model: str, answer: Any) -> Any:
    if isinstance(answer, UserError):
        return TryAgain(f"{model}: {answer}")
    if not isinstance(answer, dict | Exception):
        return TryAgain(f"{model}: expected a JSON object, the answer is text")
    return answer
