"""A local vision-language model of transformers (extra ``segment``), behind the same protocol as an endpoint.

Nothing is downloaded for a folder. A hub id is looked up by transformers, which keeps what it downloads; code that
comes with weights is never run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from PIL import Image

from vp_jax.errors import UserError, escaped
from vp_jax.reading import show
from vp_jax.vlm.protocol import Frame, Limits, Question, ask_until_valid, pictures_of
from vp_jax.vlm.reply import form_text


class LocalVlm:
    """An image-text-to-text model; it is loaded by the first question, and its replies are greedy.

    Args:
      place: folder or hub id.
      limits: of size and attempts; there is no limit of time.
    """

    def __init__(self, place: str, limits: Limits | None = None) -> None:
        if not place:
            raise UserError("vlm local: expected local:FOLDER_OR_ID")
        if place.startswith((".", "/", "~")) and not os.path.isdir(os.path.expanduser(place)):
            raise UserError(f"vlm local:{show(place)}: no such folder")
        self._place, self._limits = os.path.expanduser(place), limits or Limits()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """The folder or hub id."""
        return self._place

    def ask(
        self, prompt: str, images: Sequence[Frame] = (), schema: dict[str, Any] | None = None
    ) -> dict[str, Any] | str:
        """See `vp_jax.vlm.protocol.Vlm.ask`."""
        pictures = pictures_of(images, self._limits)
        where = f"local:{self._place}"
        return ask_until_valid(lambda text: self._say(text, pictures), prompt, schema, self._limits.attempts, where)

    def ask_all(self, questions: Sequence[Question]) -> list[dict[str, Any] | str | UserError]:
        """Answers to several questions, which go through the network together; an error in the place of an answer.

        Replies that cannot be used are asked for again one by one, as `ask` does.
        """
        pictures = [pictures_of(question.images, self._limits) for question in questions]
        forms = ["" if question.schema is None else form_text(question.schema) for question in questions]
        texts = [question.prompt + form for question, form in zip(questions, forms)]
        replies = self._say_all(list(zip(texts, pictures)))
        return [self._checked(*each) for each in zip(questions, pictures, replies)]

    def _checked(
        self, question: Question, pictures: Sequence[Image.Image], reply: str
    ) -> dict[str, Any] | str | UserError:
        """A reply in the form asked for, asked again alone where it has another."""
        replies = iter([reply])

        def say(text: str) -> str:
            return next(replies, None) or self._say(text, pictures)

        where = f"local:{self._place}"
        try:
            return ask_until_valid(say, question.prompt, question.schema, self._limits.attempts, where)
        except UserError as error:
            return error

    def _say(self, question: str, pictures: Sequence[Image.Image]) -> str:
        return self._say_all([(question, pictures)])[0]

    def _say_all(self, questions: Sequence[tuple[str, Sequence[Image.Image]]]) -> list[str]:
        """Greedy replies to texts with pictures; shorter questions are padded on the left."""
        import torch

        processor, model = self._load()
        inputs = processor.apply_chat_template(
            [_turn(*question) for question in questions],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            **({"padding": True, "padding_side": "left"} if len(questions) > 1 else {}),
        ).to(model.device, dtype=model.dtype)
        with torch.inference_mode():
            tokens = model.generate(**inputs, max_new_tokens=self._limits.tokens, do_sample=False)
        start = inputs["input_ids"].shape[1]
        return [str(text) for text in processor.batch_decode(tokens[:, start:], skip_special_tokens=True)]

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            import torch
            import transformers

            library: Any = transformers  # its classes are untyped
            device = "cuda" if torch.cuda.is_available() else "cpu"
            try:
                processor = library.AutoProcessor.from_pretrained(self._place)
                model = library.AutoModelForImageTextToText.from_pretrained(self._place, dtype="auto")
            except (OSError, ValueError, KeyError) as error:
                reason = escaped(" ".join(str(error).split()))[:200]
                raise UserError(f"vlm local:{show(self._place)} cannot be loaded ({reason})") from error
            self._loaded = processor, model.to(device).eval()
        return self._loaded


def _turn(question: str, pictures: Sequence[Image.Image]) -> list[dict[str, Any]]:
    content = [*({"type": "image", "image": picture} for picture in pictures), {"type": "text", "text": question}]
    return [{"role": "user", "content": content}]
