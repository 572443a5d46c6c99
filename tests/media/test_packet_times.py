"""The times that are taken down while a film is decoded are those of a reading of its own."""

import contextlib

import pytest

from tests import clip_files
from vp_jax.media.clock import read_clock
from vp_jax.media.film import film_frames, look_at_film, start_film
from vp_jax.media.packet_times import PacketTimes

CLIP = clip_files.moving(9)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_clock_needs_no_second_reading(tmp_path, name):
    path, times = clip_files.encode(tmp_path / name, CLIP, sound=True), PacketTimes()
    frames = list(film_frames(path, times=times))
    assert times.complete and len(times.times) == len(frames) == 9
    assert read_clock(path, times=times) == read_clock(path)


def test_of_a_film_that_is_not_read_to_its_end_times_are_read_anew(tmp_path):
    path, times = clip_files.encode(tmp_path / "a.mp4", CLIP), PacketTimes()
    with contextlib.closing(film_frames(path, times=times)) as frames:
        next(frames)
    assert not times.complete and len(read_clock(path, times=times)) == 9


def test_a_started_film_says_what_a_look_says_and_has_every_frame(tmp_path):
    path, times = clip_files.encode(tmp_path / "a.mp4", CLIP, sound=True), PacketTimes()
    started, (info, first) = start_film(path, times), look_at_film(path)
    assert started.info == info and (started.first.number, started.first.orientation) == (0, first.orientation)
    assert [frame.number for frame in started.frames] == list(range(9)) and times.complete
    started.close()
    assert start_film(clip_files.encode(tmp_path / "a.mkv", CLIP)) is None, "its packets must be counted"
