"""Methods: the sampler as a job, results of other programs, and what is refused of them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests import clip_files
from tests.vpbench.small_bench import white_clip, white_inputs
from vp_jax.errors import UserError
from vp_jax.media.video import read_video
from vp_jax.media.video_writer import write_video
from vp_jax.vpbench import methods
from vp_jax.vpbench.clips import BenchClip, as_array
from vp_jax.vpbench.methods import BaselineMethod, FolderMethod, SamplerMethod, methods_of, open_result

RED = np.full((3, 32, 48, 3), (255, 0, 0), np.uint8)


@pytest.fixture
def jobs(monkeypatch):
    """Jobs that were run; each writes its video as its result."""
    seen = []

    def run(job, loader):
        seen.append(job)
        write_video(job.out, read_video(job.video)[0], 8)
        yield "done"

    monkeypatch.setattr(methods, "run", run)
    return seen


def test_the_sampler_is_run_as_a_job_on_files_of_the_clip(jobs, tmp_path):
    sampler = SamplerMethod("nano", tmp_path / "inputs", settings={"steps": 3}, options={"precision": "float32"})
    out = sampler.result(white_clip(), white_inputs(), 5, tmp_path / "out.mkv")
    (job,) = jobs
    assert (job.prompt, job.task, job.mask_dilate, job.first_frame) == ("a white wall", "fill", 0, None)
    assert job.settings == {"steps": 3, "seed": 5} and job.precision == "float32" and out == job.out
    holes_FHW = read_video(job.mask)[0][..., 0] > 127
    np.testing.assert_array_equal(holes_FHW, white_inputs().holes_FHW)
    np.testing.assert_array_equal(read_video(job.video)[0], white_inputs().frames_FHWC)


def test_the_backbone_alone_is_the_same_job_without_hints(jobs, tmp_path):
    sampler = SamplerMethod("backbone", tmp_path / "inputs", backbone_alone=True, truth_first=True)
    sampler.result(BenchClip("white", white_inputs, "a wall", task="remove"), white_inputs(), 0, tmp_path / "out.mkv")
    (job,) = jobs
    assert job.settings["injection"].scale == 0 and job.task == "remove"
    np.testing.assert_array_equal(read_video(Path(job.first_frame))[0][0], white_inputs().truth_FHWC[0])


def test_without_a_known_truth_no_first_frame_is_given(jobs, tmp_path):
    sampler = SamplerMethod("nano", tmp_path / "inputs", truth_first=True)
    sampler.result(white_clip(), white_inputs(truth=False), 0, tmp_path / "out.mkv")
    assert jobs[0].first_frame is None


def test_facts_change_with_seed_settings_and_weights(tmp_path):
    base = SamplerMethod("nano", tmp_path)
    facts = [
        base.facts(white_clip(), 0),
        base.facts(white_clip(), 1),
        SamplerMethod("nano", tmp_path, settings={"steps": 3}).facts(white_clip(), 0),
        SamplerMethod("nano", tmp_path, backbone_alone=True).facts(white_clip(), 0),
        BaselineMethod("mean").facts(white_clip(), 0),
    ]
    assert len({repr(found) for found in facts}) == len(facts)
    assert base.facts(white_clip(), 0) == SamplerMethod("other", tmp_path / "elsewhere").facts(white_clip(), 0)


def test_words_become_methods_that_share_a_model(tmp_path):
    found = methods_of("all", tmp_path)
    assert [m.name for m in found] == [
        "mean",
        "telea",
        "ns",
        "diffusion",
        "stretched",
        "stretched_frame",
        "flow",
        "backbone",
        "nano",
    ]
    assert found[-1].loader is found[-2].loader
    with pytest.raises(UserError, match="methods magic: expected among mean, telea"):
        methods_of("mean,magic", tmp_path)


def test_results_are_found_as_videos_folders_and_the_released_programs_folders(tmp_path):
    method = FolderMethod("other", tmp_path)
    clip = white_clip("a")
    with pytest.raises(UserError, match=r"has no result of a: expected a\.mp4 or a folder"):
        method.place(clip, 0, tmp_path)
    clip_files.folder(tmp_path / "a", RED)
    assert method.place(clip, 0, tmp_path) == tmp_path / "a"
    before = method.facts(clip, 0)
    (tmp_path / "a" / "comp_frames").mkdir()
    assert method.place(clip, 0, tmp_path) == tmp_path / "a" / "comp_frames"
    write_video(tmp_path / "a.mp4", RED, 8)
    assert method.place(clip, 0, tmp_path) == tmp_path / "a.mp4" and method.facts(clip, 0) != before


def test_results_of_a_table_are_taken_from_it_alone(tmp_path):
    method = FolderMethod("other", tmp_path, {"a": tmp_path / "x.mp4"})
    assert method.place(white_clip("a"), 0, tmp_path) == tmp_path / "x.mp4"
    with pytest.raises(UserError, match="the table lists no result of b"):
        method.place(white_clip("b"), 0, tmp_path)


def test_a_result_of_the_files_size_is_resized_to_the_scored_size(tmp_path):
    clip_files.folder(tmp_path / "small", RED)
    inputs = white_inputs(size=(64, 96))._replace(native=(32, 48))
    assert as_array(open_result(tmp_path / "small", inputs)).shape == (3, 64, 96, 3)


@pytest.mark.parametrize(
    "frames_FHWC, fps, message",
    [
        (RED[:, :16], 8, r"is 48x16, expected 48x32"),
        (RED[:2], 8, "has 2 frames, the clip 3; `cut` scores"),
        (np.concatenate([RED, RED]), 8, "has 6 frames, the clip 3$"),
        (RED, 24, "has 24 frames per second, the clip 8: give the frames as a folder"),
    ],
)
def test_results_of_another_size_length_or_rate_are_refused(tmp_path, frames_FHWC, fps, message):
    write_video(tmp_path / "a.mkv", frames_FHWC, Fraction(fps))
    with pytest.raises(UserError, match=message):
        open_result(tmp_path / "a.mkv", white_inputs())


def test_shorter_results_are_accepted_on_request(tmp_path):
    write_video(tmp_path / "a.mkv", RED[:2], 8)
    assert len(open_result(tmp_path / "a.mkv", white_inputs(), cut=True)) == 2


def test_windows_of_a_result_are_those_of_its_jobs_record(tmp_path):
    assert methods.windows_of(tmp_path / "a.mkv") is None
    (tmp_path / "a.json").write_text('{"windows": [0, 12], "settings": {"overlap": 5}}')
    assert methods.windows_of(tmp_path / "a.mkv") == ((0, 12), 5)
    (tmp_path / "a.json").write_text('{"windows": 3}')
    assert methods.windows_of(tmp_path / "a.mkv") is None
