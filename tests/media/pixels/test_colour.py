"""RGB becomes the planes that FFmpeg's converter reads back as the same picture."""

import numpy as np
import pytest

from tests import clip_files
from vp_jax.media.pixels.colour import Colours, Signal, known_matrix, planes_from, reach, rounded
from vp_jax.media.pixels.pixel_format import CONVERSION, frame_of, pixel_format

PICTURE = clip_files.moving(1)[0]


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("name", ["yuv444p", "yuv420p", "yuv422p10le", "yuv444p12le"])
def test_the_picture_comes_back_by_swscale(name, matrix, full):
    layout = pixel_format(name)
    signal = Signal(matrix, full, tuple(0.5 * (step - 1) for step in layout.step))
    planes = tuple(rounded(plane, layout) for plane in planes_from(PICTURE, layout, signal))
    given = {"src_colorspace": 5 if matrix == 6 else matrix, "src_color_range": 2 if full else 1}
    back = frame_of(planes, layout).to_ndarray(format="rgb24", interpolation=CONVERSION, **given)
    away = np.abs(back.astype(int) - PICTURE)[4:-4, 4:-4]
    assert away.mean() < 1.2 and away.max() <= 6


@pytest.mark.parametrize("full, black, white", [(False, 64, 940), (True, 0, 1023)])
def test_black_and_white_are_at_the_ends_of_the_range(full, black, white):
    layout = pixel_format("yuv420p10le")
    ends = np.zeros((4, 4, 3), np.uint8)
    ends[:, 2:] = 255
    luma, blue, red = planes_from(ends, layout, Signal(1, full))
    np.testing.assert_allclose(luma[:, 0], black, atol=1e-3)
    np.testing.assert_allclose(luma[:, 3], white, atol=1e-3)
    np.testing.assert_allclose([blue, red], 512, atol=1e-3)


@pytest.mark.parametrize("name, most", [("gbrp", 255), ("gbrp10le", 1023), ("gbrp16le", 65535)])
def test_rgb_uses_all_codes_in_the_order_green_blue_red(name, most):
    colour = np.full((2, 2, 3), (255, 0, 51), np.uint8)
    green, blue, red = planes_from(colour, pixel_format(name), Signal())
    assert (red == most).all() and (green == 0).all()
    np.testing.assert_allclose(blue, most / 5, rtol=1e-6)


@pytest.mark.parametrize(
    "step, site, pixels", [(1, 0.0, [0]), (2, 0.0, [-1, 0, 1]), (2, 0.5, [-1, 0, 1, 2]), (2, 1.0, [0, 1, 2])]
)
def test_a_chroma_sample_serves_the_pixels_nearer_than_the_next(step, site, pixels):
    assert list(reach(step, site)) == pixels


def test_a_ramp_of_colour_keeps_its_place_at_every_site():
    """A linear ramp has the value of its place wherever a sample lies; a wrong site would move it."""
    layout, ramp = pixel_format("yuv422p16le"), np.zeros((2, 64, 3), np.uint8)
    ramp[..., 2] = 4 * np.arange(64)
    full = planes_from(ramp, layout._replace(step=(1, 1)), Signal(full=True))[1][0]
    for site in (0.0, 0.5, 1.0):
        half = planes_from(ramp, layout, Signal(full=True, site=(0.0, site)))[1][0]
        want = np.interp(2 * np.arange(32) + site, np.arange(64), full)
        np.testing.assert_allclose(half[1:-1], want[1:-1], atol=0.1)


def test_a_matrix_that_is_not_stated_follows_the_size():
    assert [Colours().matrix_for(*size) for size in ((480, 640), (720, 960), (480, 1280))] == [6, 1, 1]
    assert Colours(matrix=9).matrix_for(480, 640) == 9
    assert known_matrix(2) and known_matrix(9) and not known_matrix(8) and not known_matrix(14)
