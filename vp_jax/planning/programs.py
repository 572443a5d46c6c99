"""Every program that a user can start, by name. A new program is added here, and nowhere else.

`vp_jax.planning.lowering` lowers all of them for every platform, `vp_jax.planning.aot` compiles them for devices you do
not have.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from vp_jax.planning import sampling, training
from vp_jax.planning.case import Case, Prepared
from vp_jax.training.stages.registry import STAGES


class Program(NamedTuple):
    """A program by name.

    Attributes:
      about: what it does, in one line.
      prepare: makes it for a model and devices; ``None``: the model has no such part.
    """

    about: str
    prepare: Callable[[Case], Prepared | None]


def _step(about: str, **parts: object) -> Program:
    return Program(about, functools.partial(sampling.step, **parts))  # type: ignore[arg-type]


def _near(about: str, *, hole: bool) -> Program:
    return Program(about, functools.partial(sampling.near_step, hole=hole))


SAMPLE: dict[str, Program] = {
    "text": Program("T5: prompt and negative prompt", sampling.text),
    "encode_image": Program("VAE: the first frame", sampling.encode_image),
    "encode": Program("VAE: a window with its holes filled, and with black holes", sampling.encode),
    "encode+reference": Program(
        "VAE: the same window in reference mode", functools.partial(sampling.encode, mode="reference")
    ),
    "step": _step("one denoising step"),
    "step+record": _step("the last step of a window whose states the next one reads", record=True),
    "step+previous": _step("a step that reads the previous window's states", previous=True),
    "step+previous+record": _step("the same, states kept for the next window", previous=True, record=True),
    "step+id": _step("a step with the ID adapter", adapter=True),
    "step+id+record": _step("the same, states kept", adapter=True, record=True),
    "step+id+previous": _step("the same, the previous window's states read", adapter=True, previous=True),
    "step+id+previous+record": _step(
        "the last step of a window between two others, with the ID adapter", adapter=True, previous=True, record=True
    ),
    "step+id+previous+reference": _step("the same in reference mode", adapter=True, previous=True, mode="reference"),
    "step+background": _near("a step that keeps what the hole steps after it read", hole=False),
    "step+hole": _near("a hole step", hole=True),
    "decode_first": Program("VAE: the first chunk of latents", functools.partial(sampling.decode_chunk, first=True)),
    "decode_next": Program("VAE: a chunk that continues", functools.partial(sampling.decode_chunk, first=False)),
}
"""Programs of sampling."""

_PARTS = {
    "encode": "VAE and T5 in front of the training step of stage",
    "train_step": "training step of stage",
    "validate": "samples while training stage",
}

_SAME_ENCODERS = ("id_adapter", "single_branch")
"""Stages whose program ``encode`` is that of the stage ``branch``."""

TRAIN: dict[str, Program] = {
    f"{stage}/{part}": Program(f"{about} {stage}", functools.partial(training.stage_program, stage=stage, part=part))
    for stage in STAGES
    for part, about in _PARTS.items()
    if part != "encode" or stage not in _SAME_ENCODERS
}
"""Programs of training, by stage."""

PROGRAMS: dict[str, Program] = {**SAMPLE, **TRAIN}
