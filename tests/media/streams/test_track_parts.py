"""A part of a film takes the packets of its seconds along, shifted."""

from fractions import Fraction

import av
import pytest

from tests import clip_files
from tests.source_films import Sound, film
from vp_jax.media.streams.carried import TrackSource
from vp_jax.media.video_writer import write_video

S = Fraction


def lines(path, source, **changes):
    frames = clip_files.moving(30, 32, 48)
    return [found.line for found in write_video(path, frames, S(25), tracks=TrackSource(source, **changes))]


def test_a_part_without_packets_of_a_stream_says_so(tmp_path):
    source = film(tmp_path / "in.mkv", frames=100, text="subrip")
    assert lines(tmp_path / "out.mkv", source, zero=S(2), end=S(1), first_frame=False) == [
        "subtitles 1 (subrip, ger): empty, no packets in this part; 2 before the start left out"
    ]


def test_a_text_that_is_shown_when_a_part_starts_goes_on(tmp_path):
    source = film(tmp_path / "in.mkv", text="subrip")
    lines(tmp_path / "out.mkv", source, zero=S(3, 5), first_frame=False)
    with av.open(str(tmp_path / "out.mkv")) as container:
        (text,) = [packet for packet in container.demux(subtitles=0) if packet.size]
    assert (text.pts, text.duration) == (0, 300)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_of_a_part_starts_with_it_and_ends_with_it(tmp_path, suffix):
    source = film(tmp_path / "in.mkv", frames=100, sounds=[Sound("flac")])
    lines(tmp_path / f"out{suffix}", source, zero=S(1), end=S(6, 5), first_frame=False)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        times = [p.pts * p.time_base for p in container.demux(audio=0) if p.size]
    with av.open(str(source)) as container:
        every = [p.pts * p.time_base - 1 for p in container.demux(audio=0) if p.size]
    expected = [at for at in every if 0 <= at < S(6, 5)]
    assert times[-len(expected) :] == pytest.approx(expected, abs=1e-3) and len(times) <= len(expected) + 1
