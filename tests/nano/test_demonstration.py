"""sample.py without arguments, and with a video of one's own, on the packaged model."""

import base64
import html
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.inference.named import NAMED, NamedModel
from vp_jax.jobs import packaged
from vp_jax.media.masks import dilate
from vp_jax.media.video import read_video
from vp_jax.world.synthetic import HELD_OUT, World


@pytest.fixture
def nano(model, monkeypatch, tmp_path):
    """The packaged model is the untrained one, results go to a folder of the test."""
    settings = {**NAMED["nano"].settings, "steps": 2}
    monkeypatch.setitem(NAMED, "nano", NamedModel(model, "float32", settings))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "nano_out"


@pytest.mark.slow
def test_no_arguments_make_a_page_with_everything_in_it(nano, capsys):
    assert run(["sample"]) == 0
    clip = World(packaged.CLIP + 1, 17, 64, 96, first=HELD_OUT)[packaged.CLIP]
    truth, masks = clip.read(np.arange(17))
    source, fps = read_video(nano / "nano_source.mkv")
    np.testing.assert_array_equal(source, truth)
    np.testing.assert_array_equal(read_video(nano / "nano_mask.mkv")[0][..., 0] > 127, dilate(masks > 0, packaged.GROW))
    assert fps == 8
    result, _ = read_video(nano / "nano.mp4")
    assert result.shape == truth.shape
    record = json.loads((nano / "nano.json").read_text())
    assert record["settings"]["steps"] == 2 and record["arguments"]["prompt"] == clip.caption
    hole = record["hole"]
    assert 0 < hole["psnr"] < 60 and 0 < hole["mean_colour_psnr"] < 60 and -1 <= hole["ssim"] <= 1
    assert {path.name for path in nano.iterdir()} == {
        "nano_source.mkv",
        "nano_mask.mkv",
        "nano.mp4",
        "nano_comparison.mp4",
        "nano_contact.png",
        "nano.json",
        "nano_report.html",
    }

    page = (nano / "nano_report.html").read_text()
    inside = dict(re.findall(r'src="data:([a-z0-9/]+);base64,([^"]+)"', page))
    (nano.parent / "inside.mp4").write_bytes(base64.b64decode(inside["video/mp4"]))
    both = read_video(nano.parent / "inside.mp4")[0].astype(int)  # the result below the source, 4 times as large
    assert both.shape == (17, 512, 384, 3)
    assert np.abs(both[:, :256][:, 2::4, 2::4] - truth).mean() < 3
    away = np.abs(both[:, 256:][:, 2::4, 2::4] - truth).mean(axis=-1)
    holes = dilate(masks > 0, packaged.GROW)
    assert away[~holes].mean() < 3 < away[1:][holes[1:]].mean() and away[0].mean() < 3
    assert base64.b64decode(inside["image/png"]) == (nano / "nano_contact.png").read_bytes()
    assert "http:" not in page and "https:" not in page and page.count("<script") == 2
    assert record["outside"]["frames"] == 17 and f"Outside the mask: {record['outside']['psnr']:.1f} dB" in page
    assert "Seams: none, one window made all frames." in page and len(record["continuity"]["change"]) == 17
    for words in (clip.caption, f"{hole['psnr']:.1f} dB", packaged.NOTE, *packaged.IS, *packaged.IS_NOT):
        assert html.escape(words) in page
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == packaged.NOTE and "report.html" in printed.splitlines()[-1]


@pytest.mark.slow
def test_files_of_the_folder_stay_as_they_are(nano, tmp_path):
    names = ("source.mkv", "mask.mkv", "report.html")
    for name in names:
        (tmp_path / name).write_text("mine")
    assert run(["sample", "--out", "clip.gif", "--steps", "1"]) == 0
    assert all((tmp_path / name).read_text() == "mine" for name in names)


@pytest.mark.slow
def test_a_video_of_ones_own(nano, tmp_path, capsys):
    clip_files.folder(tmp_path / "frames", clip_files.moving(5, 50, 70))
    Image.fromarray((np.indices((50, 70))[0] > 25).astype(np.uint8) * 255).save(tmp_path / "mask.png")
    arguments = ["--video", "frames", "--mask", "mask.png", "--prompt", "a red <ring>", "--out", "mine.mkv"]
    assert run(["sample", *arguments, "--steps", "1"]) == 0
    frames, _ = read_video(tmp_path / "mine.mkv")
    np.testing.assert_array_equal(frames[:, :20], clip_files.moving(5, 50, 70)[:, :20])
    page = (tmp_path / "mine_report.html").read_text()
    assert "a red &lt;ring&gt;" in page and "PSNR in the hole" not in page
    assert json.loads((tmp_path / "mine.json").read_text())["hole"] is None
    assert packaged.NOTE in capsys.readouterr().out


@pytest.mark.slow
def test_a_stopped_run_continues(tmp_path, programs):
    clip_files.folder(tmp_path / "frames", clip_files.moving(40, 64, 96))
    Image.fromarray((np.indices((64, 96))[0] > 40).astype(np.uint8) * 255).save(tmp_path / "mask.png")
    command = [
        sys.executable,
        Path(__file__).parent.parent.parent / "sample.py",
        "--video",
        "frames",
        "--mask",
        "mask.png",
        "--prompt",
        "a ring",
        "--out",
        "mine.mkv",
        "--steps",
        "200",
        "--compilation_cache",
        programs,
    ]
    kept = tmp_path / "mine.job"
    first = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while first.poll() is None and not (kept / "window_0000.safetensors").exists():
        time.sleep(0.1)
    first.send_signal(signal.SIGTERM)
    told = first.communicate()[1]
    assert first.returncode == 143 and "stopped: mine.job" in told and "Traceback" not in told
    assert not (tmp_path / "mine.mkv").exists()

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "continued" in done.stderr and not (kept / "step.safetensors").exists()
    assert len(read_video(tmp_path / "mine.mkv")[0]) == 40


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--video", "x.mp4"], "--mask not given"),
        (["--checkpoint", "x"], "--video and --mask and --out not given"),
        (["--report", "x.pdf"], "--report x.pdf: expected a name that ends in .html"),
        (["--steps", "0"], "steps 0: expected 1 to 1000"),
        (["--out", "."], "names no file"),
        (["--video", "x.mp4", "--mask", "m.png"], "expected one of --prompt and --prompt_embeds"),
    ],
)
def test_mistakes(nano, arguments, message):
    with pytest.raises(UserError, match=message):
        run(["sample", *arguments])


def test_a_copy_without_weights(monkeypatch, tmp_path):
    monkeypatch.setitem(NAMED, "nano", NamedModel(tmp_path / "none"))
    with pytest.raises(UserError, match="has no nano model"):
        run(["sample"])
