"""Every pixel outside of the hole keeps all its samples; chroma is replaced where only hole pixels use it."""

import numpy as np
import pytest

from vp_jax.media.pixels.colour import Signal
from vp_jax.media.pixels.paste import chroma_weights, paste
from vp_jax.media.pixels.pixel_format import pixel_format, plane_sizes

SIZE = (20, 24)
HOLE = np.zeros(SIZE, bool)
HOLE[5:14, 7:18] = True
RED = np.full((*SIZE, 3), (200, 40, 40), np.uint8)


def planes(name, value=0.4):
    layout = pixel_format(name)
    return tuple(np.full(size, value * (1 << layout.depth), layout.dtype) for size in plane_sizes(layout, *SIZE))


@pytest.mark.parametrize("name", ["yuv444p10le", "gbrp12le", "gray", "gbrap16le", "ya8"])
def test_planes_of_full_size_are_replaced_exactly_in_the_hole(name):
    layout, old = pixel_format(name), planes(name)
    new = paste(old, layout, RED, HOLE, Signal())
    for index, (plane, was) in enumerate(zip(new, old)):
        alpha = layout.alpha and index == len(new) - 1
        assert ((plane != was) == (HOLE & (not alpha))).all()


@pytest.mark.parametrize(
    "site, rows, columns",
    [
        ((0.5, 0.0), slice(3, 6), slice(4, 9)),  # left: 4 rows, 3 columns
        ((0.0, 0.0), slice(3, 7), slice(4, 9)),  # top left: 3 and 3
        ((0.5, 0.5), slice(3, 6), slice(4, 8)),  # centre: 4 and 4
    ],
)
def test_a_chroma_sample_is_replaced_if_all_pixels_it_serves_are_in_the_hole(site, rows, columns):
    """Rows 5 to 13 and columns 7 to 17 are the hole; by hand from the reach of each sample."""
    old = planes("yuv420p")
    new = paste(old, pixel_format("yuv420p"), RED, HOLE, Signal(site=site))
    want = np.zeros((10, 12), bool)
    want[rows, columns] = True
    for plane, was in zip(new[1:], old[1:]):
        np.testing.assert_array_equal(plane != was, want)
    np.testing.assert_array_equal(new[0] != old[0], HOLE)


def test_a_hole_at_the_edge_of_the_frame_goes_to_the_edge():
    hole = np.zeros(SIZE, bool)
    hole[:, 12:] = True
    old = planes("yuv420p")
    new = paste(old, pixel_format("yuv420p"), RED, hole, Signal(site=(0.5, 0.0)))
    assert (new[1][:, 7:] != old[1][:, 7:]).all() and (new[1][:, :7] == old[1][:, :7]).all()


def test_everything_may_be_hole_at_an_odd_size():
    layout = pixel_format("yuv420p")
    old = tuple(np.full(size, 90, np.uint8) for size in plane_sizes(layout, 7, 9))
    new = paste(old, layout, np.full((7, 9, 3), (200, 40, 40), np.uint8), np.ones((7, 9), bool), Signal())
    assert all((plane != was).all() for plane, was in zip(new, old))


def test_fields_are_pictures_of_their_own():
    hole = np.zeros(SIZE, bool)
    hole[0::2] = True  # one field is generated, the other kept
    old = planes("yuv420p")
    new = paste(old, pixel_format("yuv420p"), RED, hole, Signal(site=(0.5, 0.0), interlaced=True))
    assert (new[1][0::2] != old[1][0::2]).all() and (new[1][1::2] == old[1][1::2]).all()
    assert (new[0][1::2] == old[0][1::2]).all()


def test_a_feather_blends_in_planes_and_never_leaves_the_hole():
    old = planes("yuv420p10le")
    layout = pixel_format("yuv420p10le")
    sharp, soft = (paste(old, layout, RED, HOLE, Signal(site=(0.5, 0.0)), feather) for feather in (0, 3))
    assert (soft[0][~HOLE] == old[0][~HOLE]).all()
    row = soft[0][9, 6:13].astype(int)
    assert row[0] == old[0][9, 6] and row[4] == sharp[0][9, 10]
    assert (np.diff(row[:5]) < 0).all() or (np.diff(row[:5]) > 0).all()
    one = int(old[0][9, 7]) + (int(sharp[0][9, 7]) - int(old[0][9, 7])) / 4
    assert abs(int(soft[0][9, 7]) - one) <= 1
    assert (soft[1][(sharp[1] == old[1])] == old[1][sharp[1] == old[1]]).all()


def test_without_a_hole_the_planes_are_the_given_ones():
    old = planes("yuv420p")
    assert paste(old, pixel_format("yuv420p"), RED, np.zeros(SIZE, bool), Signal()) is old


def test_the_weight_of_a_chroma_sample_is_the_least_of_its_pixels():
    weights = np.ones((4, 8), np.float32)
    weights[1, 3] = 0.25
    found = chroma_weights(weights, (2, 2), (0.5, 0.0))
    np.testing.assert_array_equal(found, [[1, 0.25, 0.25, 1], [1, 0.25, 0.25, 1]])
    np.testing.assert_array_equal(chroma_weights(weights, (1, 2), (0.0, 0.0))[1], [1, 0.25, 0.25, 1])
