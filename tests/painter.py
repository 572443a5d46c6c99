"""A pipeline whose model paints one colour. Everything around the model is real: plans, sizes, checks, settings."""

from __future__ import annotations

import types

import numpy as np
import pytest

from vp_jax.diffusion.sampler import LoopState
from vp_jax.inference.decode import Decoded
from vp_jax.inference.padded import PaddedArrays, PaddedVideo
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.plan import WindowPlan, plan_windows
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry
from vp_jax.inference.stream import BEGINNING, StepDone, WindowDone

PAINT = (250, 10, 200)


class Painter(Pipeline):
    """Paints the complete picture, so that pasting is seen, and notes what it was given."""

    native_size, native_frames, fixed_size, has_text_encoder = (32, 48), 9, False, True

    def __init__(self) -> None:
        cfg = types.SimpleNamespace(text_dim=8, max_text_len=4, learned_positions=False)
        super().__init__(types.SimpleNamespace(backbone_cfg=cfg, inpaint_kind=None), None, None)
        self.calls = {}

    def loaded(self, model, **arguments):
        """In place of `Pipeline.load`."""
        self.calls["load"] = (model, arguments)
        return self

    def encode_prompts(self, prompts, at_once=None):
        self.calls["prompt"] = tuple(prompts)
        return np.stack([np.full((4, 8), len(prompt), np.float32) for prompt in prompts])

    def windows_continue(self, settings):
        return True

    def windows(self, video, prompt, settings, *, noise_of=None, start=BEGINNING, plan=None):
        alike = not isinstance(prompt, Prompt) and all(one is prompt[0] for one in prompt)
        plan = plan or plan_windows(video.length, settings)
        self.calls["windows"] = (_in_memory(video, plan, settings), prompt[0] if alike else prompt, settings)
        x = np.zeros((1, 3, 4, 6, 4), np.float32)
        for window in range(start.window, len(plan.windows)):
            resumed = start.step.done if start.step and window == start.window else 0
            for done in range(resumed + 1, settings.steps + 1):
                yield StepDone(window, done, LoopState(x, x))
            yield WindowDone(window, Carry(x, None))

    def decoded(self, events, plan, settings, size=None):
        for event in events:
            if isinstance(event, WindowDone) and event.window + 1 == len(plan.windows):
                height, width = self.calls["windows"][0].size
                paint = np.broadcast_to(np.array(PAINT, np.uint8), (plan.output_frames, height, width, 3))
                yield Decoded(event.window, 0, paint)
            yield event


def _in_memory(video: PaddedVideo, plan: WindowPlan, settings: Settings) -> PaddedArrays:
    """What all windows read, as one array."""
    frames_FHWC = np.zeros((video.length, *video.size, 3), np.uint8)
    holes_FHW = np.zeros(frames_FHWC.shape[:3], bool)
    for begin in plan.windows:
        pixels, holes = video.window(begin, settings.window)
        assert pixels.dtype == holes.dtype == np.float32 and pixels.shape[:4] == holes.shape
        frames_FHWC[begin : begin + settings.window] = np.rint((pixels[0] + 1) * 127.5)
        holes_FHW[begin : begin + settings.window] = holes[0] > 0
    return PaddedArrays(frames_FHWC, holes_FHW)


@pytest.fixture
def painter(monkeypatch):
    """What `Pipeline.load` returns."""
    fake = Painter()
    monkeypatch.setattr(Pipeline, "load", fake.loaded)
    return fake
