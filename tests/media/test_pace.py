"""Times of written frames: exact rates stay rates, all else is within a tick of the container."""

import itertools
from fractions import Fraction

import av
import pytest

from tests import clip_files
from vp_jax.media.clock import FrameClock
from vp_jax.media.pace import Pace
from vp_jax.media.video_writer import write_video

S = Fraction
NTSC = S(30000, 1001)
UNEVEN = FrameClock((0, 30, 71, 99, 140, 160), 220, S(1, 1000))


def clip(frames):
    """Large enough: of pictures of four macroblocks in a row x264 does not always make the same bytes."""
    return clip_files.moving(frames, 96, 128)


def written(path, clock, rate=25, frames=6):
    write_video(path, clip(frames), S(rate), clock=clock)
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        return video.time_base, [frame.pts * video.time_base for frame in container.decode(video)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_uneven_times_are_written_to_the_tick(tmp_path, suffix):
    tick, times = written(tmp_path / f"a{suffix}", UNEVEN)
    assert max(abs(at - UNEVEN.seconds(frame)) for frame, at in enumerate(times)) <= tick / 2


def test_the_last_frame_of_an_mp4_stays_as_long_as_its_source_says(tmp_path):
    written(tmp_path / "a.mp4", UNEVEN)
    with av.open(str(tmp_path / "a.mp4")) as container:
        video = container.streams.video[0]
        assert video.duration * video.time_base == S(220, 1000)


def test_gif_counts_hundredths_and_says_so(tmp_path):
    _, times = written(tmp_path / "a.gif", UNEVEN)
    assert times == [S(number, 100) for number in (0, 3, 7, 10, 14, 16)]
    assert Pace(S(25), UNEVEN, ".gif").note() == "rounded to 1/100 s, the steps of .gif"
    assert Pace(S(25), FrameClock((0, 5, 17), 20, S(1, 100)), ".gif").note() == ""
    assert Pace(S(25), None, ".gif").note() == "" and Pace(NTSC, None, ".gif").note()


def test_frames_closer_than_a_hundredth_stay_frames_of_a_gif(tmp_path):
    _, times = written(tmp_path / "a.gif", None, rate=S(240))
    assert times == [S(number, 100) for number in range(6)]


def test_even_frames_are_written_at_their_rate(tmp_path):
    clock = FrameClock((0, 33, 67, 100, 133, 167), 200, S(1, 1000))
    _, times = written(tmp_path / "a.mp4", clock, NTSC)
    assert times == [frame / NTSC for frame in range(6)]
    assert (tmp_path / "a.mp4").stat().st_size == (write_even(tmp_path / "b.mp4")).stat().st_size


def write_even(path):
    write_video(path, clip(6), NTSC)
    return path


def test_even_frames_that_start_late_are_even_and_late(tmp_path):
    clock = FrameClock((6006, 9009, 12012, 15015, 18018, 21021), 24024, S(1, 90000), S(0))
    _, times = written(tmp_path / "a.mp4", clock, NTSC)
    assert times == pytest.approx([S(6006, 90000) + frame / NTSC for frame in range(6)], abs=1e-4)
    assert {b - a for a, b in itertools.pairwise(times)} == {1 / NTSC}


def test_a_folder_of_images_loses_times_only_where_they_were_uneven():
    assert Pace(S(25), UNEVEN, "").note().startswith("a folder of images holds no times")
    assert Pace(S(25), None, "").note() == Pace(S(25), FrameClock((0, 1, 2), 3, S(1, 25)), "").note() == ""


def test_mpeg4_has_a_time_base_of_16_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("av.codecs_available", {"mpeg4"})
    clock = FrameClock((0, 2700, 6390), 9000, S(1, 90_000))
    _, times = written(tmp_path / "a.mp4", clock, frames=3)
    assert times == pytest.approx([0, 0.03, 0.071], abs=1e-4)
