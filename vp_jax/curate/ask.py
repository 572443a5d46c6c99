"""The vision-language model of a worker: connected once in each process."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from vp_jax.curate.store import TryAgain
from vp_jax.errors import UserError


@functools.cache
def _connected(model: str) -> Any:
    from vp_jax.vlm import connect

    return connect(model)


def ask_model(model: str, prompt: str, frames: Sequence[np.ndarray], schema: dict[str, Any]) -> dict[str, Any]:
    """The answer of a model about frames uint8 HWC, as JSON of a schema.

    Args:
      model: as `vp_jax.vlm.connect` takes it.
      prompt: the question.
      frames: key frames in order.
      schema: JSON schema of the answer.

    Raises:
      TryAgain: the model gives no usable answer; a rerun asks again.
    """
    try:
        answer = _connected(model).ask(prompt, frames, schema)
    except UserError as error:
        raise TryAgain(f"{model}: {error}") from error
    if not isinstance(answer, dict):
        raise TryAgain(f"{model}: expected a JSON object, the answer is text")
    return answer
