"""A run reports what happens, in order, and leaves what it should."""

import json
import time
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.painter import PAINT, painter  # noqa: F401
from vp_jax.errors import UserError
from vp_jax.inference.plan import Position
from vp_jax.inference.settings import Settings
from vp_jax.jobs.events import Arrived, Done, MediaRead, Note, Planned
from vp_jax.jobs.job import Job
from vp_jax.jobs.outputs import job_folder
from vp_jax.jobs.run import run
from vp_jax.media.video import read_video

FRAMES = clip_files.moving(14, 45, 61)
HOLE = np.zeros((45, 61), bool)
HOLE[10:30, 20:45] = True


@pytest.fixture
def job(tmp_path):
    """A job on frames and one mask, with some fields changed."""
    (tmp_path / "weights").mkdir()
    clip_files.folder(tmp_path / "video", FRAMES)
    Image.fromarray(HOLE.astype(np.uint8) * 255).save(tmp_path / "mask.png")

    def job(**changes):
        return Job(**{
            "checkpoint": tmp_path / "weights", "video": tmp_path / "video", "mask": tmp_path / "mask.png",
            "out": tmp_path / "out.mkv", "prompt": "a pink wall", "settings": {"steps": 2}, **changes,
        })  # fmt: skip

    return job


def test_events_tell_what_is_read_planned_sampled_and_written(job, painter, tmp_path):  # noqa: F811
    read, planned, *between, outside, done = run(job())
    positions = [event for event in between if not isinstance(event, Arrived)]
    assert outside == Note("outside", "of the hole unchanged, over 14 frames of the written file")
    share = HOLE.mean()
    assert read == MediaRead(14, (45, 61), 8, pytest.approx(share), 14)
    assert isinstance(planned, Planned) and planned.settings == Settings(steps=2, window=9)
    assert (planned.source_size, planned.size, planned.frames) == ((45, 61), (32, 48), 14)
    assert planned.plan.windows == (0, 4, 8) and planned.plan.padded_frames == 17
    assert [path.name for path in planned.files] == ["out.mkv", "out_comparison.mp4", "out_contact.png", "out.json"]
    assert all(isinstance(position, Position) for position in positions)
    assert [position.done for position in positions] == [0, 1, 2, 3, 4, 5, 6, 6]
    assert {position.total for position in positions} == {6} and positions[0].label == "compiling"
    assert isinstance(done, Done) and set(done.seconds) == {"read", "load", "encode_prompt", "inpaint", "write"}
    frames, _ = read_video(tmp_path / "out.mkv")
    np.testing.assert_array_equal(frames[:, ~HOLE], FRAMES[:, ~HOLE])
    assert (frames[:, HOLE] == PAINT).all()
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["settings"]["steps"] == 2 and record["arguments"]["prompt"] == "a pink wall"
    assert record["outside"] == {"frames": 14, "largest": 0, "psnr": None, "kind": ""}
    assert len(record["window_seconds"]) == 3 and 0 <= sum(record["window_seconds"]) <= record["seconds"]["inpaint"]
    assert record["continuity"]["flicker"] == 0 and record["continuity"]["colour"][5] == list(PAINT)
    folder = job_folder(tmp_path / "out.mkv")
    assert done.kept == (folder, sum(path.stat().st_size for path in folder.iterdir()))
    windows = {f"window_{k:04d}.safetensors" for k in range(3)}
    assert {path.name for path in folder.iterdir()} == {"lock", "manifest.json", *windows}


def test_lost_sound_is_an_event(job, painter, tmp_path):  # noqa: F811
    source = clip_files.encode(tmp_path / "in.mp4", FRAMES[:, :44, :60], sound=True)
    events = list(run(job(video=source, out=tmp_path / "out.gif", mask_resize=True)))
    assert [event for event in events if isinstance(event, Note)] == [
        Note("sound", "1 (aac): lost, .gif holds pictures only"),
        Note("times", "rounded to 1/100 s, the steps of .gif"),
    ]
    assert json.loads((tmp_path / "out.json").read_text())["audio_copied"] is False


def test_a_run_that_is_left_early_goes_on_behind_what_it_finished(job, painter, tmp_path):  # noqa: F811
    with closing(run(job())) as events:
        for event in events:
            if isinstance(event, Position) and event.done == 3:
                break
    kept = job_folder(tmp_path / "out.mkv")
    assert {path.name for path in kept.iterdir()} == {
        "lock",
        "manifest.json",
        "window_0000.safetensors",
        "step.safetensors",
    }
    assert not (tmp_path / "out.mkv").exists()
    positions = [event for event in run(job()) if isinstance(event, Position)]
    assert [position.done for position in positions[:3]] == [0, 3, 3 + 1]
    assert positions[1].label == "window 2/3 continued" and not (kept / "step.safetensors").exists()


def test_too_little_memory_is_one_line(job, painter, monkeypatch):  # noqa: F811
    def fail(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(painter, "windows", fail)
    with pytest.raises(UserError, match="out of device memory: try a smaller `window`, `height` and `width`"):
        list(run(job()))

    def break_down(*_, **__):
        raise RuntimeError("another fault")

    monkeypatch.setattr(painter, "windows", break_down)
    with pytest.raises(RuntimeError, match="another fault"):
        list(run(job()))


def test_a_model_without_text_encoder_needs_embeddings(job, painter, monkeypatch):  # noqa: F811
    monkeypatch.setattr(painter, "has_text_encoder", False)
    with pytest.raises(UserError, match="has no text encoder: give `prompt_embeds` instead of `prompt`"):
        list(run(job()))


def test_the_comparison_grows_in_the_folder_of_the_job_and_may_be_left_off(job, painter, tmp_path):  # noqa: F811
    made = job()
    with closing(run(made)) as events:
        next(event for event in events if isinstance(event, Position) and event.label.startswith("decoding"))
        growing, begin = job_folder(made.out) / "comparison.mp4", time.monotonic()
        while not growing.exists():
            assert time.monotonic() - begin < 60
            time.sleep(0.01)
        list(events)
    assert read_video(tmp_path / "out_comparison.mp4")[0].shape[0] == 14
    assert not (job_folder(made.out) / "comparison.mp4").exists()
    alone = job(out=tmp_path / "alone.mkv", comparison=False)
    list(run(alone))
    assert {path.name for path in tmp_path.glob("alone*")} == {
        "alone.mkv",
        "alone.job",
        "alone.json",
        "alone_contact.png",
    }
