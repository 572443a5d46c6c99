"""The video inside the page: source and result in one picture, bounded in size."""

from fractions import Fraction

import av
import numpy as np
import pytest

from tests import clip_files
from vp_jax.jobs.report import clip
from vp_jax.jobs.report.clip import ClipWriter, Panel, both, panel_of
from vp_jax.media.video import read_video


@pytest.mark.parametrize(
    "size, frames, panel",
    [
        ((720, 1280), 97, Panel(540, 960, 544, 0)),
        ((1280, 720), 97, Panel(960, 540, 0, 544)),
        ((2160, 3840), 2000, Panel(540, 960, 544, 0)),
        ((64, 96), 17, Panel(256, 384, 256, 0, 4)),
        ((240, 427), 30, Panel(240, 428, 240, 0)),
        ((1080, 1920), 50_000, None),
    ],
    ids=str,
)
def test_panels_are_large_and_bounded(size, frames, panel):
    assert panel_of(*size, frames) == panel


def test_long_videos_are_shown_smaller():
    panel = panel_of(1080, 1920, 10_000)
    assert panel.width < 960 and 0.98 < 10_000 * panel.height * panel.width / clip.PAGE_PIXELS < 1.02
    assert abs(panel.width / panel.height - 16 / 9) < 0.02


def test_source_and_result_stand_apart_by_blocks_of_the_encoder():
    source, result = np.full((6, 10, 3), 10, np.uint8), np.full((6, 10, 3), 200, np.uint8)
    picture = both(source, result, Panel(6, 10, 16, 0))
    assert picture.shape == (22, 10, 3) and (picture[:16] == 10).all() and (picture[16:] == 200).all()
    picture = both(source, result, Panel(6, 10, 0, 16))
    assert picture.shape == (6, 26, 3) and (picture[:, :16] == 10).all() and (picture[:, 16:] == 200).all()


def test_every_frame_of_both_arrives_in_a_format_of_phones(tmp_path):
    frames = clip_files.moving(7, 90, 160)
    with ClipWriter(panel_of(90, 160, 7), Fraction(8)) as writer:
        for frame_HWC in frames:
            writer.add(frame_HWC, 255 - frame_HWC)
        made = writer.finish()
    (tmp_path / "a.mp4").write_bytes(made.content)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 8)
    shown, _ = read_video(tmp_path / "a.mp4")
    panel = made.panel
    assert len(shown) == 7
    assert np.abs(shown[:, :90].astype(int) - frames).mean() < 6
    assert np.abs(shown[:, panel.down : panel.down + 90].astype(int) - (255 - frames)).mean() < 6


def test_a_file_over_the_limit_is_left_out(monkeypatch):
    monkeypatch.setattr(clip, "PAGE_BYTES", 100)
    with ClipWriter(Panel(32, 32, 32, 0), Fraction(8)) as writer:
        writer.add(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 3), np.uint8))
        assert writer.finish() is None


def test_an_encoder_that_fails_stops_nothing_and_is_reported(monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(clip, "write_video", fail)
    picture = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(OSError, match="disk full"), ClipWriter(Panel(32, 32, 32, 0), Fraction(8)) as writer:
        for _ in range(20):
            writer.add(picture, picture)
        writer.finish()


def test_a_run_that_breaks_off_ends_the_encoder():
    picture = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(KeyboardInterrupt), ClipWriter(Panel(32, 32, 32, 0), Fraction(8)) as writer:
        for _ in range(9):
            writer.add(picture, picture)
        raise KeyboardInterrupt
    assert writer._work.done()
