"""When frames are shown: what each container says, and what a choice of frames makes of it."""

from fractions import Fraction

import pytest
from PIL import Image

from tests import clip_files
from tests.odd_sources import JITTER
from tests.source_films import Sound, film
from vp_jax.errors import UserError
from vp_jax.media.clock import FrameClock, read_clock

S = Fraction
UNEVEN = FrameClock((0, 30, 70, 100, 140), 160, S(1, 1000))


def test_a_variable_rate_is_read_to_the_tick(tmp_path):
    clock = read_clock(film(tmp_path / "a.mp4", times=JITTER, time_base=S(1, 90000)))
    assert [clock.seconds(frame) for frame in range(len(clock))] == JITTER[:-1]


def test_the_last_frame_is_shown_as_long_as_the_file_says(tmp_path):
    for name, codec in (("a.mkv", "libx264"), ("a.mp4", "mpeg4"), ("a.avi", "mpeg4")):
        shown = [S(0), S(2, 25), S(3, 25), S(4, 25)] if name == "a.avi" else JITTER
        clock = read_clock(
            film(tmp_path / name, times=shown, codec=codec, time_base=S(1, 25 if name == "a.avi" else 1000))
        )
        assert clock.seconds(len(clock)) == shown[-1]


def test_second_zero_is_where_the_earliest_of_sound_and_pictures_starts(tmp_path):
    late = film(tmp_path / "late.mkv", offset=S(3, 2), sounds=[Sound()])
    assert read_clock(late).zero == S(3, 2) and read_clock(late).seconds(0) == 0
    lead = film(tmp_path / "lead.mkv", lead=S(1, 2), sounds=[Sound()], time_base=S(1, 1000))
    assert read_clock(lead).zero == 0 and read_clock(lead).seconds(0) == S(1, 2)


def test_packets_that_show_no_frame_have_no_time(tmp_path):
    path = film(tmp_path / "a.webm", codec="libvpx", frames=40)
    assert len(read_clock(path)) == 40 and read_clock(path) == read_clock(path, decoded=True)


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_packets_and_frames_have_the_same_times(tmp_path, name, decoded):
    path = film(tmp_path / name, frames=12)
    first, *rest = read_clock(path, decoded=decoded).ticks
    base = read_clock(path).time_base
    assert [(tick - first) * base for tick in rest] == [S(frame, 25) for frame in range(1, 12)]
    assert read_clock(path.read_bytes()) == read_clock(path)


def test_delays_of_image_films_are_times(tmp_path):
    pictures = [Image.fromarray(frame) for frame in clip_files.moving(3)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=[70, 0, 40])
    clock = read_clock(tmp_path / "a.webp")
    assert [clock.seconds(frame) for frame in range(4)] == [0, S(7, 100), S(17, 100), S(21, 100)]  # 0 is 1/10 s


def test_folders_and_single_pictures_have_no_clock(tmp_path):
    assert read_clock(clip_files.folder(tmp_path / "frames", clip_files.moving(3))) is None
    Image.fromarray(clip_files.moving(1)[0]).save(tmp_path / "a.png")
    assert read_clock(tmp_path / "a.png") is None
    with pytest.raises(UserError, match="no such file"):
        read_clock(tmp_path / "gone.mp4")


def test_a_part_starts_at_its_first_frame_and_ends_where_the_next_would_be():
    part = UNEVEN.chosen(1, 4, 1)
    assert part.ticks == (30, 70, 100) and part.end == 140
    assert [part.seconds(frame) for frame in range(4)] == [0, S(4, 100), S(7, 100), S(11, 100)]
    assert UNEVEN.chosen(0, None, 1) == UNEVEN


def test_thinned_frames_keep_their_times_and_stay_until_the_next():
    thinned = UNEVEN.chosen(0, None, 2)
    assert thinned.ticks == (0, 70, 140) and thinned.end == 160 + 32  # the missing one lasts as long as the mean
    assert UNEVEN.chosen(0, 4, 2).end == 140


def test_the_first_frames_of_a_clock_keep_its_second_zero():
    late = FrameClock((1500, 1540, 1590), 1630, S(1, 1000), S(1))
    assert late.first(2) == FrameClock((1500, 1540), 1590, S(1, 1000), S(1)) and late.first(9) is late


def test_frames_are_even_but_for_rounding_to_milliseconds():
    rounded = FrameClock((0, 33, 67, 100), 133, S(1, 1000))
    assert rounded.is_even(S(30000, 1001)) and not rounded.is_even(S(25)) and not UNEVEN.is_even(S(31))
    assert not FrameClock((0, 3, 7, 10), 13, S(1, 100)).is_even(S(30))  # the delays of a GIF are what it says
    assert not FrameClock((0, 40, 80), 500, S(1, 1000)).is_even(S(25))  # a last frame that stays
