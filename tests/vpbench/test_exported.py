"""Clips as folders for other programs."""

import csv

import numpy as np

from tests.vpbench.small_bench import small_world
from vp_jax.media.masks import read_masks
from vp_jax.media.video import read_video
from vp_jax.vpbench.benchmarks import Benchmark
from vp_jax.vpbench.clips import BenchClip
from vp_jax.vpbench.exported import write_inputs


def test_frames_masks_and_prompts_are_written_and_bad_clips_named(tmp_path):
    world = small_world(("fill",))
    clips = [*world.clips, BenchClip("bad", lambda: None, fault="mask is empty")]
    assert list(write_inputs(Benchmark("world", clips), tmp_path)) == [("fill-000", ""), ("bad", "bad: mask is empty")]
    inputs = world.clips[0].open()
    np.testing.assert_array_equal(read_video(tmp_path / "frames" / "fill-000")[0], inputs.frames_FHWC)
    np.testing.assert_array_equal(read_video(tmp_path / "videos" / "fill-000.mkv")[0], inputs.frames_FHWC)
    np.testing.assert_array_equal(read_masks(tmp_path / "masks" / "fill-000"), inputs.holes_FHW)
    (line,) = csv.DictReader((tmp_path / "prompts.csv").read_text().splitlines())
    assert (line["clip"], line["prompt"], line["frames"], line["fps"]) == (
        "fill-000",
        world.clips[0].prompt,
        "17",
        "8.0",
    )
