"""The record, the pictures and the page of a run."""

import json

import numpy as np
import pytest

from tests import clip_files
from vp_jax.inference.inputs import Mask, Video
from vp_jax.inference.request import make_request
from vp_jax.inference.result import Result
from vp_jax.inference.settings import Settings
from vp_jax.jobs import packaged
from vp_jax.jobs.job import Job
from vp_jax.jobs.manifest import ChosenWindow
from vp_jax.jobs.memory import peak_memory
from vp_jax.jobs.record import Checked, draw_pictures, measure, place_pictures, record_of, write_record
from vp_jax.media.canvas import Finished
from vp_jax.media.fidelity import Fidelity
from vp_jax.media.streams.carried import Carried
from vp_jax.media.video import probe, read_image

FRAMES = clip_files.moving(6, 48, 64)
HOLES = np.zeros((6, 48, 64), bool)
HOLES[:, 16:32, 16:40] = True
COPIED = Carried("sound", "copied", "sound 1 (aac): copied, 4 packets")
SECONDS = {"read": 1.0, "inpaint": 2.0}
NOTHING = Checked()


@pytest.fixture
def result():
    request = make_request(Video(FRAMES), Mask(HOLES), Settings(window=5, overlap=1), (48, 64), {})
    return Result(request, np.where(HOLES[..., None], FRAMES // 2, FRAMES))


def job(tmp_path, **changes):
    (tmp_path / "weights").mkdir(exist_ok=True)
    return Job(**{
        "checkpoint": tmp_path / "weights", "video": tmp_path / "in.mkv", "mask": tmp_path / "m.png",
        "out": tmp_path / "out.mkv", "report": tmp_path / "page.html", "prompt": "a <fox>", **changes,
    })  # fmt: skip


def written(made, result, checked=NOTHING, **more):
    """Write everything; the pictures and the record."""
    drawn = draw_pictures(made, result, made.out.parent, iter(range(len(result))))
    place_pictures(made, drawn)
    record = record_of(made, result, SECONDS, drawn=drawn, checked=checked, cache=made.out.parent, **more)
    write_record(made, made, record, drawn)
    return drawn, json.loads(made.out.with_suffix(".json").read_text())


def test_numbers_of_the_hole(result):
    found = measure(result)
    hole = FRAMES[HOLES].astype(float)
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / np.square(hole - hole // 2).mean()))
    flat = np.rint(FRAMES[~HOLES].mean(axis=0))
    assert found["mean_colour_psnr"] == pytest.approx(10 * np.log10(255**2 / np.square(hole - flat).mean()))
    assert -1 <= found["ssim"] <= 1


def test_everything_that_made_a_result_is_written(result, tmp_path):
    _, record = written(job(tmp_path), result, Checked([COPIED]))
    assert probe(tmp_path / "out_comparison.mp4").frames == 6
    assert read_image(tmp_path / "out_contact.png").shape[1] > 300
    assert record["settings"]["window"] == 5 and record["arguments"]["prompt"] == "a <fox>"
    assert (record["frames"], record["fps"], record["windows"], record["padded_frames"]) == (6, "8", [0, 4], 9)
    assert record["source_size"] == record["model_size"] == [48, 64] and record["audio_copied"] is True
    assert record["carried"] == ["sound 1 (aac): copied, 4 packets"]
    assert record["hole"] is None and record["seconds"] == SECONDS
    page = (tmp_path / "page.html").read_text()
    assert "a &lt;fox&gt;" in page and "PSNR in the hole" not in page and "3.0 s" in page and packaged.NOTE not in page
    assert "Sound 1 (aac): copied, 4 packets." in page


def test_what_was_measured_and_checked_is_in_the_record_as_numbers(result, tmp_path):
    checked = Checked(lost=["data 1: lost"], outside=Fidelity(6, 42, 42.613), mask_findings=["the hole jumps"])
    windows = [ChosenWindow(42, "a fox", "x"), ChosenWindow(7, "a cat", "y")]
    _, record = written(job(tmp_path), result, checked, windows=windows, window_seconds={1: 2.5})
    assert record["outside"] == {"frames": 6, "largest": 42, "psnr": 42.61, "kind": ""}
    assert record["mask"] == {
        "share": HOLES.mean(),
        "frames": 6,
        "grown": 0,
        "note": "",
        "findings": ["the hole jumps"],
    }
    assert record["lost"] == ["data 1: lost"] and record["window_seconds"] == [None, 2.5]
    assert record["seeds"] == [42, 7] and record["prompts"] == ["a fox", "a cat"]
    change = np.abs(np.diff((FRAMES // 2).astype(int), axis=0)[:, 16:32, 16:40]).mean((1, 2, 3))
    np.testing.assert_allclose(record["continuity"]["change"][1:], change, atol=1e-3)
    assert [seam["frame"] for seam in record["continuity"]["seams"]] == [4]
    assert record["memory"]["host_peak"] == pytest.approx(peak_memory()["host_peak"], rel=0.1)


def test_every_frame_is_made_once(result, tmp_path, monkeypatch):
    asked = []
    original = Finished.__getitem__
    monkeypatch.setattr(Finished, "__getitem__", lambda self, index: asked.append(index) or original(self, index))
    drawn, _ = written(job(tmp_path), result)
    assert [index for index in asked if index < 6] == list(range(6)) and drawn.clip is not None


def test_the_demonstration_is_measured(result, tmp_path):
    _, record = written(job(tmp_path, checkpoint="nano", demonstration=True), result)
    page = (tmp_path / "page.html").read_text()
    assert f"{record['hole']['psnr']:.1f} dB" in page and packaged.NOTE in page and "VideoPainter nano: out.mkv" in page


def test_no_page_and_no_video_for_it_where_none_is_asked_for(result, tmp_path):
    drawn, _ = written(job(tmp_path, report=None), result)
    assert drawn.clip is None and not list(tmp_path.glob("*.html"))


def test_links_of_the_page_lead_to_the_files_and_not_to_where_they_are_written_first(result, tmp_path):
    made, hidden = job(tmp_path), tmp_path / "not_yet"
    hidden.mkdir()
    partly = made.written_to([hidden / path.name for path in made.files])
    drawn = draw_pictures(partly, result, partly.out.parent, iter(range(len(result))))
    place_pictures(partly, drawn)
    write_record(made, partly, record_of(made, result, SECONDS, drawn=drawn, checked=Checked(), cache=None), drawn)
    page = (hidden / "page.html").read_text()
    assert 'href="./out.mkv"' in page and 'href="./out_comparison.mp4"' in page and "not_yet" not in page
