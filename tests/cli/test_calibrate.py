"""``vp-jax calibrate``: drawn clips or a video, one file beside the model, what it will save in a line each."""

import re

import numpy as np
import pytest

from tests import clip_files
from tests.tiny import tiny_pipeline
from vp_jax.cli.main import run
from vp_jax.diffusion.reuse import Drift
from vp_jax.errors import UserError
from vp_jax.inference import measured_drift, step_cache
from vp_jax.inference.pipeline import Pipeline

DRIFT = Drift((999, 500, 1), ((0.0, 0.1, 0.2), (0.0, 0.0, 0.1), (0.0, 0.0, 0.0)))


@pytest.fixture
def measured(monkeypatch):
    """Clips that are measured; nothing is sampled."""
    taken = []

    def measure(pipeline, settings, clips):
        taken.extend(clips)
        assert settings.steps == 12 and settings.step_cache is None
        return DRIFT

    monkeypatch.setattr(Pipeline, "load", lambda folder: tiny_pipeline())
    monkeypatch.setattr(measured_drift, "measure_drift", measure)
    return taken


def test_drawn_clips_of_the_model_are_measured_and_kept_beside_it(measured, tmp_path, capsys):
    assert run(["calibrate", "--checkpoint", str(tmp_path), "--clips", "2", "--steps", "12"]) == 0
    assert step_cache.read_drift(tmp_path) == DRIFT
    assert [clip.frames_FHWC.shape for clip in measured] == [(5, 32, 32, 3)] * 2
    assert all(clip.holes_FHW.any() and clip.prompt for clip in measured)
    assert (measured[0].frames_FHWC != measured[1].frames_FHWC).any()
    assert re.search(r"--step_cache 1.5x: [5-8] of 12 steps are computed", capsys.readouterr().out)


def test_a_video_is_fitted_to_the_model(measured, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8)
    holes = np.zeros((9, 64, 64), np.uint8)
    holes[:, 8:32, 8:32] = 255
    for name, array in (("video", frames), ("mask", holes)):
        clip_files.folder(tmp_path / name, array)
    flags = [f"--{name}={tmp_path / name}" for name in ("video", "mask")]
    out = tmp_path / "own.json"
    run(["calibrate", f"--checkpoint={tmp_path}", "--steps=12", *flags, "--prompt=a wall", f"--out={out}"])
    (clip,) = measured
    assert clip.frames_FHWC.shape == (5, 32, 32, 3) and clip.holes_FHW.mean() == (12 / 32) ** 2
    assert clip.prompt == "a wall" and out.is_file() and not (tmp_path / step_cache.STEP_CACHE_FILE).exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--video=x"], "--video: expected --video, --mask and --prompt together"),
        (["--clips=0"], "--clips 0 --steps 50: expected at least 1 clip"),
    ],
)
def test_what_cannot_be_measured_is_one_line(flags, message, tmp_path):
    with pytest.raises(UserError, match=message):
        run(["calibrate", f"--checkpoint={tmp_path}", *flags])
