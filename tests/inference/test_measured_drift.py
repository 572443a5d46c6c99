"""Drift is that of the estimates in the hole, of the first window."""

import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.inference.measured_drift import MeasuredClip, measure_drift
from vp_jax.inference.padded import pad_video
from vp_jax.inference.settings import Settings
from vp_jax.inference.stream import StepDone
from vp_jax.inference.window import WindowProgram

SETTINGS = Settings(steps=4, guidance=3.0, dynamic_guidance=False, sampler="ddim", window=5, overlap=1)


def test_a_model_is_measured_in_its_holes(pipeline, clip, monkeypatch):
    frames, holes, text = clip
    monkeypatch.setattr(type(pipeline), "encode_prompt", lambda self, prompt: text)
    drift = measure_drift(pipeline, SETTINGS, [MeasuredClip(frames, holes, "a wall")])
    padded = pad_video(frames[:5], holes[:5], SETTINGS)
    program = WindowProgram(pipeline.models, SETTINGS, pipeline.schedule)
    hole = np.asarray(program.latent_mask(jnp.asarray(padded.window(0, 5)[1])))
    events = pipeline.windows(padded, text, SETTINGS)
    x0 = [np.asarray(event.state.x0_old)[hole > 0] for event in events if isinstance(event, StepDone)]
    gap = np.sqrt(((x0[2] - x0[0]) ** 2).sum() / (x0[2] ** 2).sum())
    sigma = np.sqrt(1 - pipeline.schedule.abar[drift.timesteps[2]])
    assert 0 < hole.mean() < 1 and drift.drift[0][2] == pytest.approx(gap / sigma, rel=1e-4)
