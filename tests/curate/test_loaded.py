"""The stages with models: tiny random Florence-2, Grounding DINO and SAM 2 through transformers, and an endpoint."""

import json
import os
import subprocess
import sys
from fractions import Fraction

import pytest

from tests.curate.drawn_sources import FPS, scene_frames
from tests.curate.small_run import output_of
from tests.layout import ROOT
from tests.vlm.fake_server import fake_server
from vp_jax.curate import loaded
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.stages.box import ProposeBoxes
from vp_jax.curate.store import FAILED, StageStore, TryAgain
from vp_jax.media.video_writer import write_video

VIDEOS, KILLS = 2, 10
PERMISSIVE = (  # random weights mark anything
    *("mask_filter.least_area=0.0", "mask_filter.most_area=1.0", "mask_filter.most_change=1.0"),
    *("mask_filter.most_jitter=1.0", "mask_filter.most_lost=1.0"),
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Settings that name the folders of three tiny models."""
    from tests.segment.tiny_sam import write_grounding_dino, write_sam2
    from tests.vlm.tiny_florence import write_florence

    root = tmp_path_factory.mktemp("weights")
    florence, dino, sam2 = (
        write(root / name) for name, write in (("f", write_florence), ("d", write_grounding_dino), ("s", write_sam2))
    )
    return (
        *("tag.model=florence2", f"tag.weights={florence}"),
        *("box.model=grounding_dino", f"box.weights={dino}", "box.threshold=0.0", "box.most_frames=2"),
        *("box.most_things=1", "mask.backend=sam2_video", f"mask.weights={sam2}"),
    )


def caption(handler):
    """A caption of the clip, or of its thing."""
    region = "but one thing greyed out" in handler.server.requests[-1].text
    handler.completion(json.dumps({"caption": "A red car." if region else "A red car passes a dog."}))


@pytest.mark.slow
def test_a_run_with_models_killed_ten_times_gives_the_same_and_does_nothing_twice(weights, tmp_path):
    sources = tmp_path / "videos"
    sources.mkdir()
    for number in range(VIDEOS):
        write_video(sources / f"{number}.mp4", scene_frames(700 + number, 49, 48, 72)[0], Fraction(FPS))
    with fake_server(caption) as server:
        changes = [*weights, *PERMISSIVE, f"caption.model={server.url}"]
        command = [sys.executable, "-m", "tests.curate.killed_runs", str(sources), str(tmp_path / "out"), str(KILLS)]
        environment = {**os.environ, "PYTHONPATH": ".", "OMP_NUM_THREADS": "1"}
        ran = subprocess.run([*command, *changes], cwd=ROOT, capture_output=True, text=True, env=environment)
        asked = len(server.chats)
    assert ran.returncode == 0, ran.stderr[-2000:]
    counted = json.loads(ran.stdout.splitlines()[-1])
    assert counted["kills"] == KILLS and counted["most"] == 1
    calm = output_of(tmp_path / "out.calm")
    assert output_of(tmp_path / "out") == calm
    clips = [json.loads(line) for line in calm["provenance.jsonl"].splitlines()]
    assert len(clips) == VIDEOS
    for clip in clips:
        assert clip["tags"] == ["red car", "dog"]
        assert clip["captions"] == {"": "A red car passes a dog.", "1": "A red car."}
        assert [clip["models"][stage].split()[0] for stage in ("tag", "box", "mask")] == [
            *("florence2", "grounding_dino", "sam2_video")
        ]
    once = 2 * VIDEOS
    assert 2 * once <= asked <= 2 * once + 2 * KILLS, "only what was in work when a run was killed is asked again"


@pytest.mark.slow
def test_models_are_loaded_once_in_a_process(weights):
    named = dict(change.split("=") for change in weights)
    assert loaded.backend_of("sam2_video", named["mask.weights"]) is loaded.backend_of(
        "sam2_video", named["mask.weights"]
    )
    assert loaded.detector_of(named["box.weights"], 0.0) is loaded.detector_of(named["box.weights"], 0.0)


def test_weights_that_cannot_be_loaded_are_tried_again():
    for load in (lambda: loaded.backend_of("sam2_video"), lambda: loaded.detector_of("", 0.3)):
        with pytest.raises(TryAgain, match="no weights given"):
            load()
    with pytest.raises(TryAgain, match=r"tag.model: florence2: no weights given"):
        loaded.florence_of("")


def test_a_detector_without_tags_is_a_mistake_of_the_settings(tmp_path):
    clip = ClipRecord("a", "a.mp4", fps="8", frames=48, stop=48)
    outcome = StageStore(tmp_path).run(ProposeBoxes(model="grounding_dino"), clip)
    assert outcome.kind == FAILED and "set tag.model" in outcome.reason
