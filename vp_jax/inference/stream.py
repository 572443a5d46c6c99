"""Any-length inpainting (paper section 3.3): window after window, each reading what the one before it left.

`windows` is the loop and nothing else. What a program does around it (progress, a store that survives a crash, decoding
while later windows are sampled) consumes its events and passes them on; see `vp_jax.inference.decode` and
`vp_jax.jobs.store`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vp_jax.diffusion.noise import NoiseSource
from vp_jax.diffusion.sampler import LoopState
from vp_jax.errors import UserError
from vp_jax.inference.compiled import CompiledWindow
from vp_jax.inference.padded import PaddedVideo
from vp_jax.inference.plan import WindowPlan
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.state import Carry, WindowInputs


class StepDone(NamedTuple):
    """A denoising step was taken: ``done`` of the window's steps are, and this is the state after them.

    ``complete``: the state is all that the next step needs, so that a run can go on from here.
    """

    window: int
    done: int
    state: LoopState
    complete: bool = True


class WindowDone(NamedTuple):
    """A window is finished: its number, and what it leaves to the next."""

    window: int
    carry: Carry


class Continued(NamedTuple):
    """A run goes on behind what an earlier one kept: ``done`` steps of this window."""

    window: int
    done: int


Event = StepDone | WindowDone | Continued


class Start(NamedTuple):
    """Where the loop begins: at a window, with the carry of the one before it, and maybe in the middle of it."""

    window: int = 0
    carry: Carry | None = None
    step: StepDone | None = None


BEGINNING = Start()


def windows(
    compiled: CompiledWindow,
    video: PaddedVideo,
    prompts: Sequence[Prompt],
    plan: WindowPlan,
    noise_of: Callable[[int], NoiseSource],
    start: Start = BEGINNING,
) -> Iterator[StepDone | WindowDone]:
    """Sample the windows of ``plan`` in turn.

    Args:
      compiled: programs and weights.
      video: pixels and holes that the windows read.
      prompts: text embeddings of each window.
      plan: where windows start, and which of them begin a shot, without what an earlier one left.
      noise_of: the random draws of each window, by its number.
      start: where an earlier run stopped; the result is the same, bit for bit.

    Yields:
      A `StepDone` after every denoising step, a `WindowDone` after a window's last. Devices may still be at work on it.
    """
    settings, program, put = compiled.program.settings, compiled.program, compiled.put
    carry, every = put(start.carry), settings.background_every
    room, near = (rooms(video.holes(plan, settings)) for rooms in (program.room, program.near_room))
    for number, at in list(enumerate(plan.windows))[start.window :]:
        (pixels, holes), quad = put((video.window(at, settings.window), video.quad(at, settings.window)))
        noise, text_BME = put((noise_of(number), prompts[number].batch(settings.guided)))
        carry = None if number in plan.fresh else carry
        latents = compiled.encode(pixels, holes, carry, noise, quad)
        inputs = WindowInputs(latents, text_BME, carry.previous if carry else None, noise)
        resumed = start.step if number == start.window else None
        done, state = (resumed.done, put(resumed.state)) if resumed else (0, put(program.begin(inputs)))
        states = background = None
        recorded = settings.steps - 1 if settings.clip_weight > 0 and plan.is_followed(number) else None
        for index in range(done, settings.steps):
            background = background if index % every else None  # its memory is free before the next is made
            state, states, background = compiled.step(state, index, inputs, background, near, index == recorded, room)
            yield StepDone(number, index + 1, state, complete=(index + 1) % every == 0)
        carry = program.finish(state, states, inputs)
        yield WindowDone(number, carry)


def finite(events: Iterator[StepDone | WindowDone], windows: int) -> Iterator[StepDone | WindowDone]:
    """Pass events on.

    Raises:
      UserError: a window came out as NaN or infinity; a video of it would be black.
    """
    for event in events:
        if isinstance(event, WindowDone) and not np.isfinite(event.carry.latents_BThwC).all():
            raise UserError(
                f"window {event.window + 1} of {windows} came out as NaN or infinity: check the weights and adapters, "
                f"or try precision float32"
            )
        yield event
