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
from vp_jax.jobs.record import measure, record_of, write_pictures, write_record
from vp_jax.media.carried import Carried
from vp_jax.media.video import probe, read_image

FRAMES = clip_files.moving(6, 48, 64)
HOLES = np.zeros((6, 48, 64), bool)
HOLES[:, 16:32, 16:40] = True
COPIED = Carried("sound", "copied", "sound 1 (aac): copied, 4 packets")
SECONDS = {"read": 1.0, "inpaint": 2.0}


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


def test_numbers_of_the_hole(result):
    found = measure(result)
    hole = FRAMES[HOLES].astype(float)
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / np.square(hole - hole // 2).mean()))
    flat = np.rint(FRAMES[~HOLES].mean(axis=0))
    assert found["mean_colour_psnr"] == pytest.approx(10 * np.log10(255**2 / np.square(hole - flat).mean()))
    assert -1 <= found["ssim"] <= 1


def test_everything_that_made_a_result_is_written(result, tmp_path):
    made = job(tmp_path)
    write_pictures(made, result)
    assert probe(tmp_path / "out_comparison.mp4").frames == 6
    assert read_image(tmp_path / "out_contact.png").shape[1] > 300
    record = record_of(made, result, SECONDS, carried=[COPIED], cache=tmp_path)
    write_record(made, record)
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["settings"]["window"] == 5 and written["arguments"]["prompt"] == "a <fox>"
    assert (written["frames"], written["fps"], written["windows"], written["padded_frames"]) == (6, "8", [0, 4], 9)
    assert written["source_size"] == written["model_size"] == [48, 64] and written["audio_copied"] is True
    assert written["carried"] == ["sound 1 (aac): copied, 4 packets"]
    assert written["hole"] is None and written["seconds"] == SECONDS
    page = (tmp_path / "page.html").read_text()
    assert "a &lt;fox&gt;" in page and "PSNR in the hole" not in page and "3 s" in page and packaged.NOTE not in page


def test_the_demonstration_is_measured(result, tmp_path):
    made = job(tmp_path, checkpoint="nano", demonstration=True)
    write_pictures(made, result)
    write_record(made, record_of(made, result, SECONDS, carried=[], cache=None))
    hole = json.loads((tmp_path / "out.json").read_text())["hole"]
    page = (tmp_path / "page.html").read_text()
    assert f"{hole['psnr']:.1f} dB" in page and packaged.NOTE in page and "VideoPainter nano: out.mkv" in page


def test_no_page_where_none_is_asked_for(result, tmp_path):
    made = job(tmp_path, report=None)
    write_pictures(made, result)
    write_record(made, record_of(made, result, SECONDS, carried=[], cache=None))
    assert not list(tmp_path.glob("*.html"))
