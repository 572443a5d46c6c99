"""Loads the model of a job, and keeps it for the next job of equal model settings."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vp_jax.errors import UserError
from vp_jax.inference.named import find_model
from vp_jax.inference.prompt import Prompt
from vp_jax.jobs.job import Job

if TYPE_CHECKING:  # JAX takes seconds to import: mistakes in the job's files are reported before
    from vp_jax.inference.pipeline import Pipeline

MOST_PROMPTS = 64
"""Embeddings that a `ModelCache` keeps: 3.7 MB each at full size."""


class ModelCache:
    """Loads models and encodes prompts. One model at a time is kept, and with it the last embeddings."""

    def __init__(self) -> None:
        self._key: object = None
        self._pipeline: Pipeline | None = None
        self._prompts: dict[tuple[str, str], Prompt] = {}

    def load(self, job: Job, texts: Sequence[str] = ()) -> Pipeline:
        """The model of a job.

        Args:
          job: what is asked for.
          texts: prompts that it will need. They are encoded before a new model is loaded, so that the text encoder
            and the model are never in memory together.

        Raises:
          UserError: it cannot be loaded, or has no text encoder and the job needs one.
        """
        from vp_jax.inference.pipeline import Pipeline

        key = (str(job.checkpoint), job.model_options)
        if self._pipeline is None or self._key != key:
            self._pipeline, self._prompts = None, {}  # its memory is free before the next one is loaded
            self._encode_first(job, texts)
            with enough_memory("`precision` bfloat16, or a device with more"):
                self._pipeline = Pipeline.load(job.checkpoint, **job.model_options)
            self._key = key
        if job.prompt_embeds is None and not self._pipeline.has_text_encoder:
            raise UserError(
                f"checkpoint {job.checkpoint} has no text encoder: give `prompt_embeds` instead of `prompt`"
            )
        return self._pipeline

    def _encode_first(self, job: Job, texts: Sequence[str]) -> None:
        from vp_jax.inference.load import describe_encoder
        from vp_jax.inference.text import encode_texts
        from vp_jax.models.folder import BACKBONE, CheckpointFolder

        known = find_model(job.checkpoint)
        source, negative = CheckpointFolder(known.folder), job.negative_prompt or ""
        encoder = describe_encoder(source, job.precision or known.precision)
        if encoder is None or not source.has(BACKBONE):
            return
        length = source.describe(BACKBONE).max_text_len
        with enough_memory("`precision` bfloat16, or `prompt_embeds` in place of `prompt`"):
            for text in dict.fromkeys(texts):
                self._prompts[text, negative] = Prompt(*encode_texts([text, negative], encoder[0], source, length))

    def encode(self, pipeline: Pipeline, texts: Sequence[str], negative: str) -> list[Prompt]:
        """Embeddings of each window's prompt; those of earlier jobs are not made again."""
        new = [text for text in dict.fromkeys(texts) if (text, negative) not in self._prompts]
        if new:
            with enough_memory("`precision` bfloat16, or `prompt_embeds` in place of `prompt`"):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # what is not read of a prompt is noted before
                    found = pipeline.window_prompts(new, negative)
            self._prompts |= {(text, negative): prompt for text, prompt in zip(new, found)}
        chosen = [self._prompts[text, negative] for text in texts]
        while len(self._prompts) > MOST_PROMPTS:
            del self._prompts[next(iter(self._prompts))]
        return chosen


@contextlib.contextmanager
def enough_memory(advice: str) -> Iterator[None]:
    """Too little device memory as a `UserError` with what needs less of it."""
    try:
        yield
    except RuntimeError as error:  # jax's own error type, told apart by its status
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise UserError(f"out of device memory: try {advice}") from error
