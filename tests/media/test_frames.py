"""Streamed frames behave as an array does, and ask their source for as little as they can."""

import numpy as np
import pytest

from vp_jax.media.frames import StreamedFrames, again, cut_or_held, mapped

PICTURES = np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((10, 4, 6), np.uint8)


class Source:
    """Frames of numbers 2, 5, 8 ... of `PICTURES`, and a record of what was asked for."""

    def __init__(self, end: int = 10):
        self.made, self.opened, self.closed, self._end = [], 0, 0, end

    def read(self, wanted):
        self.opened += 1
        try:
            for number in range(self._end):
                if number in wanted:
                    self.made.append(number)
                    yield PICTURES[number]
        finally:
            self.closed += 1

    def frames(self) -> StreamedFrames:
        return StreamedFrames(self.read, range(2, 10, 3), (4, 6), lambda number: ValueError(f"no frame {number}"))


def test_frames_have_shape_numbers_slices_and_an_end_as_an_array_has():
    frames, want = Source().frames(), PICTURES[2:10:3]
    assert frames.shape == want.shape and len(frames) == 3 and len(frames[1:]) == 2
    np.testing.assert_array_equal(np.stack(list(frames)), want)
    np.testing.assert_array_equal(np.stack(list(frames[::2][1:])), want[::2][1:])
    np.testing.assert_array_equal(frames[-1], want[-1])
    np.testing.assert_array_equal(frames[np.int64(1)], want[1])
    with pytest.raises(IndexError):
        frames[3]


def test_reading_forward_goes_on_and_what_is_skipped_is_not_made():
    source = Source()
    frames = source.frames()
    for place in (0, 0, 2):
        np.testing.assert_array_equal(frames[place], PICTURES[2 + 3 * place])
    assert source.made == [2, 8] and source.opened == source.closed == 1


def test_reading_backward_starts_again():
    source = Source()
    frames = source.frames()
    assert frames[1][0, 0] == 5 and frames[0][0, 0] == 2 and frames[1][0, 0] == 5
    assert source.made == [5, 2, 5] and (source.opened, source.closed) == (2, 1)
    frames.close()
    assert source.closed == 2 and frames[1][0, 0] == 5


def test_another_reader_has_a_place_of_its_own():
    source = Source()
    one = source.frames()
    two = one[1:].again()
    assert [one[2][0, 0], two[0][0, 0], two[1][0, 0]] == [8, 5, 8]
    assert source.made == [8, 5, 8] and source.opened == source.closed == 2
    array = PICTURES[:2]
    assert again(array) is array


def test_frames_made_of_others_do_not_move_them():
    source = Source()
    frames = source.frames()
    doubled = mapped(frames, lambda _, picture: picture * 2, (4, 6))
    assert [frames[2][0, 0], doubled[0][0, 0], frames[2][0, 0], doubled[1][0, 0]] == [8, 4, 8, 10]
    assert source.made == [8, 2, 5] and source.opened == 2
    doubled.close()
    assert source.closed == 2


def test_a_source_that_ends_too_early_is_an_error_every_time():
    frames = Source(end=6).frames()
    assert frames[1][0, 0] == 5
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^no frame 8$"):
            frames[2]


def test_mapped_frames_are_made_when_they_are_asked_for():
    source, seen = Source(), []

    def double(number, picture):
        seen.append(number)
        return picture[:2] * 2

    frames = mapped(source.frames(), double, (2, 6))
    assert frames.shape == (3, 2, 6) and not seen
    np.testing.assert_array_equal(frames[2], PICTURES[8, :2] * 2)
    assert seen == [2] and source.made == [8]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_frames_are_cut_or_the_last_is_held_alike_in_both_kinds(count):
    array = PICTURES[2:10:3]
    want = array[np.minimum(np.arange(count), 2)]
    np.testing.assert_array_equal(cut_or_held(array, count), want)
    held = cut_or_held(Source().frames(), count)
    assert len(held) == count
    np.testing.assert_array_equal(np.stack(list(held)), want)
    np.testing.assert_array_equal(held[count - 1], want[-1])


def test_reduced_frames_are_small_where_the_source_can_and_of_the_same_numbers():
    source = Source()

    def read_small(wanted, size):
        return (picture[: size[0], : size[1]] for picture in source.read(wanted))

    frames = StreamedFrames(source.read, range(2, 10, 3), (4, 6), read_small=read_small)
    small = frames[1:].reduced(2, 3)
    assert small.shape == (2, 2, 3)
    np.testing.assert_array_equal(np.stack(list(small)), PICTURES[5:9:3, :2, :3])
    assert frames.reduced(8, 12).shape == frames.shape and Source().frames().reduced(2, 3).shape[1:] == (4, 6)
