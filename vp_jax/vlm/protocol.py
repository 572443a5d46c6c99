"""What every vision-language model offers here: one question, pictures, and a reply that has the form asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from vp_jax.errors import UserError
from vp_jax.vlm.reply import BadReply, form_text, reply_of

Frame = np.ndarray[Any, np.dtype[np.uint8]]
"""A picture, uint8 (H, W, 3) RGB."""


class Question(NamedTuple):
    """The arguments of `Vlm.ask`."""

    prompt: str
    images: Sequence[Frame] = ()
    schema: dict[str, Any] | None = None


class Vlm(Protocol):
    """A vision-language model."""

    @property
    def name(self) -> str:
        """Its name, for records; an endpoint may be contacted to find it."""
        ...

    def ask(
        self, prompt: str, images: Sequence[Frame] = (), schema: dict[str, Any] | None = None
    ) -> dict[str, Any] | str:
        """Ask one question.

        Args:
          prompt: the question.
          images: pictures that it is about, uint8 (H, W, 3) RGB.
          schema: JSON schema of an object, see `vp_jax.vlm.json_schema`; None: the reply is free text.

        Returns:
          An object that fits ``schema``, or the text without space around it.

        Raises:
          UserError: the model cannot be reached, or its reply is still not what was asked for after several attempts.
        """
        ...


class Limits(NamedTuple):
    """What a question may take.

    Attributes:
      seconds: for one attempt, from the connection to the last byte.
      attempts: questions asked before giving up, the first one included.
      reply_bytes: size of the largest reply that is read.
      images: pictures in one question.
      side: pixels of a picture's longer side; larger ones are reduced before they are sent.
      tokens: length of a local model's reply.
      pause: seconds before the second attempt; each further pause is twice as long.
    """

    seconds: float = 120.0
    attempts: int = 4
    reply_bytes: int = 1 << 20
    images: int = 64
    side: int = 1024
    tokens: int = 512
    pause: float = 1.0


def pictures_of(images: Sequence[Frame], limits: Limits) -> list[Image.Image]:
    """Pictures for a question, reduced to ``limits.side``.

    Raises:
      UserError: too many pictures, or one that is not uint8 (H, W, 3).
    """
    if len(images) > limits.images:
        raise UserError(f"{len(images)} images: expected at most {limits.images} in one question")
    pictures = []
    for number, image_HWC in enumerate(images):
        if image_HWC.dtype != np.uint8 or image_HWC.ndim != 3 or image_HWC.shape[2] != 3 or not image_HWC.size:
            raise UserError(f"image {number}: {image_HWC.dtype} {image_HWC.shape}, expected uint8 (H, W, 3)")
        picture = Image.fromarray(image_HWC)
        if max(picture.size) > limits.side:
            picture.thumbnail((limits.side, limits.side), Image.Resampling.LANCZOS)
        pictures.append(picture)
    return pictures


def ask_until_valid(
    say: Callable[[str], str], prompt: str, schema: dict[str, Any] | None, attempts: int, name: str
) -> dict[str, Any] | str:
    """Ask until the reply has the form asked for; each further attempt says what was wrong with the last reply.

    Args:
      say: sends a text and returns the reply's text; raises `BadReply` for a reply that holds none.
      prompt: the question.
      schema: see `Vlm.ask`.
      attempts: questions asked at most.
      name: of the model, for the message.

    Raises:
      UserError: no reply had the form.
    """
    form = "" if schema is None else form_text(schema)
    question, fault = prompt + form, ""
    for _ in range(attempts):
        try:
            return reply_of(say(question), schema)
        except BadReply as error:
            fault = str(error)
            question = (
                f"{prompt}{form}\n\nYour last reply could not be used ({fault}). Reply again, in the form asked for."
            )
    raise UserError(f"{name}: no usable reply in {attempts} attempts, the last one: {fault}")
