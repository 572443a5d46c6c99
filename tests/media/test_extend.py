"""Borders of new pixels: what is asked for, and old samples that stay where and what they are."""

from fractions import Fraction

import numpy as np
import pytest

from tests import clip_files, source_formats
from tests.source_formats import Row, write_source
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Video
from vp_jax.media.extend import Border, border_of
from vp_jax.media.fidelity import outside
from vp_jax.media.frames import Streamed, mapped
from vp_jax.media.native_writer import Pasting, write_pasted
from vp_jax.media.planes import native_frames
from vp_jax.media.source import read_source

FRAMES = clip_files.moving(3, 30, 40)


@pytest.mark.parametrize(
    "text, border",
    [
        ("left=160,right=0,top=0,bottom=0", Border(left=160)),
        (" top = 4 , right=3", Border(right=3, top=4)),
        ("16:9", Border(left=6, right=8)),  # 30 x 54: what chroma samples share stays together
        ("1:1", Border(top=4, bottom=6)),
        ("9 : 16", Border(top=20, bottom=22)),
    ],
)
def test_sides_and_aspects(text, border):
    assert border_of(text, 30, 40) == border


@pytest.mark.parametrize(
    "text, message",
    [
        ("4:3", "extend 4:3: adds nothing to 40x30 pixels"),
        ("left=0", "extend left=0: adds nothing"),
        ("left", "extend left: expected sides such as left=160"),
        ("left=-3", "extend left=-3: expected sides"),
        ("left=3,left=4", "extend left=3,left=4: expected sides"),
        ("0:9", "extend 0:9: expected sides"),
        ("", "extend : expected sides"),
        ("left=8193", "extend 8193: expected 0 to 8192 pixels"),
        ("1:9999", "extended_height 399960: expected 1 to 16384 pixels"),
    ],
)
def test_what_cannot_be_added_is_named(text, message):
    with pytest.raises(UserError, match=message):
        border_of(text, 30, 40)


def test_the_border_is_hole_and_repeats_the_rim():
    border = Border(left=5, bottom=2)
    grown, holes = border.frames(FRAMES), border.holes(np.zeros((3, 30, 40), bool))
    assert grown.shape == (3, 32, 45, 3) and border.size(30, 40) == (32, 45)
    np.testing.assert_array_equal(grown[~holes].reshape(3, 30, 40, 3), FRAMES)
    np.testing.assert_array_equal(grown[:, :30, 0], FRAMES[:, :, 0])
    assert holes.sum() == 3 * (32 * 45 - 30 * 40)


def test_streamed_frames_and_holes_stay_streamed_and_are_those_of_arrays():
    border, holes = Border(left=5, top=1, bottom=2), FRAMES[..., 0] > 128
    for add, given, size in ((border.frames, FRAMES, (30, 40, 3)), (border.holes, holes, (30, 40))):
        grown = add(mapped(given, lambda _, picture: picture, size))
        assert isinstance(grown, Streamed) and grown.shape == add(given).shape
        np.testing.assert_array_equal(np.stack(list(grown)), add(given))
    film = Video(mapped(FRAMES, lambda _, picture: picture, (30, 40, 3))).extended(border)
    assert film.size == (33, 45) and film.border == border
    np.testing.assert_array_equal(np.stack(list(film.frames_FHWC)), Video(FRAMES).extended(border).frames_FHWC)


def test_one_hole_of_many_frames_takes_the_memory_of_one():
    hole_HW = FRAMES[0, ..., 0] > 128
    grown = Border(right=3).holes(np.broadcast_to(hole_HW, (10**9, 30, 40)))
    assert grown.shape == (10**9, 30, 43) and grown.strides[0] == 0
    np.testing.assert_array_equal(grown[-1, :, :40], hole_HW)
    assert grown[-1, :, 40:].all()


def test_an_extended_video_keeps_what_is_known_of_its_file(tmp_path):
    video = Video.read(clip_files.encode(tmp_path / "in.mkv", clip_files.moving(4), codec="ffv1"))
    grown = video.extended(Border(right=6))
    assert grown.size == (48, 70) and grown.source is video.source and grown.border == Border(right=6)
    assert grown.clock is video.clock and grown.cut(2).border == Border(right=6)


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p10le", "yuv444p", "bgr0", "gray"])
def test_kept_samples_are_bit_exact_in_the_source_s_own_planes(name, tmp_path):
    row, border = Row(name), Border(left=6, right=3, top=4, bottom=1)
    source = read_source(write_source(row, tmp_path))
    size = border.size(source.height, source.width)
    count = range(source_formats.F)
    holes_FHW = border.holes(np.zeros((len(count), source.height, source.width), bool))
    made_HWC = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    pasting = Pasting(source, count, lambda _: made_HWC, holes_FHW, border=border)
    assert border.aligned(source.layout) and (pasting.target.height, pasting.target.width) == size
    write_pasted(tmp_path / "out.mkv", pasting, Fraction(24), warn=print)
    written = read_source(tmp_path / "out.mkv")
    assert (written.height, written.width) == size and written.layout == source.layout
    for old, new in zip(native_frames(source, count), native_frames(written, count)):
        for plane, grown, step in zip(old.planes, new.planes, source.layout.steps):
            rows, columns = border.top // step[0], border.left // step[1]
            part = grown[rows : rows + plane.shape[0], columns : columns + plane.shape[1]]
            np.testing.assert_array_equal(part, plane)
    assert "unchanged" in outside(tmp_path / "out.mkv", pasting).line


def test_the_matrix_of_an_untagged_source_stays_when_it_grows_large(tmp_path):
    source = read_source(write_source(Row("yuv420p"), tmp_path))
    pasting = Pasting(source, range(1), lambda _: FRAMES[0], None, border=Border(left=1280))
    assert pasting.target.matrix == source.matrix


def test_a_border_that_shifts_chroma_is_not_aligned(tmp_path):
    layout = read_source(write_source(Row("yuv420p"), tmp_path)).layout
    assert not Border(left=3).aligned(layout) and not Border(top=1).aligned(layout)
    assert Border(right=3, bottom=1).aligned(layout)
    assert Border(top=2).aligned(layout) and not Border(top=2).aligned(layout, interlaced=True)
