"""The model that comes with the package, on held-out clips: what it must not fall behind."""

import numpy as np
import pytest

from bench.nano import cases, runner
from bench.nano.runner import Setup
from bench.nano.variants import SHORT
from vp_jax.inference.named import NAMED

CLIPS = 8
MARGINS = {"mean": 5.0, "telea": 5.0, "diffusion": 5.0, "stretched_frame": 2.0}
"""dB in the hole that the model gains at least on what needs none: fillings, and frame 0's thing in each mask's box."""


@pytest.mark.slow
def test_the_shipped_model_fills_holes_better_than_fillings_without_a_model(tmp_path):
    setup = Setup(NAMED["nano"].folder, tmp_path, tmp_path, pictures=0)
    clips = list(cases.inpainting(CLIPS))
    jobs = [runner.job(setup, variant, "short", clips) for variant in SHORT if variant.name in ("default", *MARGINS)]
    runner.run(setup, jobs, lambda *progress: None)
    decibel = {name: np.mean([*rows.values()]) for name, rows in runner.values(setup, jobs, "hole_psnr").items()}
    for name, margin in MARGINS.items():
        assert decibel["default"] > decibel[name] + margin, decibel
