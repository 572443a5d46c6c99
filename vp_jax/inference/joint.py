"""Denoising the windows of a shot together: after every step, neighbours agree on the latents that they share.

    step i      window 0  [ . . . a b ]             a and b of both windows become their weighted mean, and so do the
                window 1        [ 1 a b . . ]       estimates of the clean latents: the update of a sampler is linear,
                                                    so this is the mean of the predictions (multi-window diffusion)

The weights are those with which finished windows are joined (`vp_jax.inference.decode.Stitcher`). A window's first
latent stands for one frame where its neighbour's stand for four, and is its own. An image-to-video model is shown, as
the image a later window starts from, the estimate of the window before it; at the first step its own first frame.

Unlike in `vp_jax.inference.stream.windows`, no window is finished before the shot is. Latents wait on the host.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import jax
import numpy as np

from vp_jax.diffusion.noise import NoiseSource
from vp_jax.diffusion.sampler import LoopState
from vp_jax.inference.compiled import CompiledWindow
from vp_jax.inference.padded import PaddedVideo
from vp_jax.inference.plan import Shot, WindowPlan
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.state import Carry, WindowInputs, WindowLatents
from vp_jax.inference.stream import BEGINNING, Start, StepDone, WindowDone


def joint_windows(
    compiled: CompiledWindow,
    video: PaddedVideo,
    prompts: Sequence[Prompt],
    plan: WindowPlan,
    noise_of: Callable[[int], NoiseSource],
    start: Start = BEGINNING,
) -> Iterator[StepDone | WindowDone]:
    """Sample the windows of each shot together; arguments are those of `vp_jax.inference.stream.windows`.

    Args:
      compiled: programs and weights.
      video: pixels and holes that the windows read.
      prompts: text embeddings of each window.
      plan: where windows start.
      noise_of: the random draws of each window; neighbours have the same where they overlap.
      start: the window at which a shot begins, the first of those to be sampled.

    Yields:
      A `StepDone` for each step of each window, in step; the `WindowDone` of all windows of a shot after its last step.
    """
    for shot in plan.shots:
        if shot.window + shot.windows > start.window:
            yield from _joint_shot(compiled, video, prompts, plan, noise_of, shot)


def _joint_shot(
    compiled: CompiledWindow,
    video: PaddedVideo,
    prompts: Sequence[Prompt],
    plan: WindowPlan,
    noise_of: Callable[[int], NoiseSource],
    shot: Shot,
) -> Iterator[StepDone | WindowDone]:
    settings, program, put = compiled.program.settings, compiled.program, compiled.put
    shared, waiting, states = settings.overlap_latents, list[WindowLatents](), list[LoopState]()
    given: list[tuple[jax.Array, NoiseSource]] = []
    for number in range(shot.window, shot.window + shot.windows):
        pixels, holes = put(video.window(plan.windows[number], settings.window))
        quad = put(video.quad(plan.windows[number], settings.window))
        noise, text_BME = put((noise_of(number), prompts[number].batch(settings.guided)))
        latents = compiled.encode(pixels, holes, None, noise, quad)
        given.append((text_BME, noise))
        states.append(jax.device_get(program.begin(WindowInputs(latents, text_BME, None, noise))))
        waiting.append(jax.device_get(latents))
    for index in range(settings.steps):
        if index and program.models.takes_image:
            waiting = _continued(waiting, states, shared)
        for place, latents in enumerate(waiting):
            inputs = WindowInputs(put(latents), given[place][0], None, given[place][1])
            state, _ = compiled.denoise_step(put(states[place]), index, inputs, record=False)
            states[place] = jax.device_get(state)
            yield StepDone(shot.window + place, index + 1, state)
        states = agreed(states, shared)
    for place, state in enumerate(states):
        yield WindowDone(shot.window + place, Carry(put(state.x), None))


def agreed(states: Sequence[LoopState], shared: int) -> list[LoopState]:
    """States of neighbouring windows, whose common latents are replaced by their weighted mean.

    Args:
      states: of the windows in their order, latents (B, T, h, w, C).
      shared: latents that neighbours have in common, a window's first not counted.
    """
    parts = [[np.array(part) for part in state if part is not None] for state in states]
    weight_T = np.arange(1, shared + 1, dtype=np.float32)[:, None, None, None] / np.float32(shared + 1)
    for before, after in itertools.pairwise(parts) if shared else ():
        for left_BThwC, right_BThwC in zip(before, after):
            mean = left_BThwC[:, -shared:] * (1 - weight_T) + right_BThwC[:, 1 : 1 + shared] * weight_T
            left_BThwC[:, -shared:] = right_BThwC[:, 1 : 1 + shared] = mean
    return [LoopState(*cast(Any, part)) for part in parts]


def _continued(waiting: Sequence[WindowLatents], states: Sequence[LoopState], shared: int) -> list[WindowLatents]:
    """Inputs of windows, each starting from the estimate of the window before it."""
    out = [waiting[0]]
    for latents, before in zip(waiting[1:], states):
        image_BThwC = np.array(latents.image_BThwC)
        place = before.x0_old.shape[1] - 1 - shared
        image_BThwC[:, :1] = before.x0_old[:, place : place + 1]
        out.append(latents._replace(image_BThwC=cast(Any, image_BThwC)))
    return out
