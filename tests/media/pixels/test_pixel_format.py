"""Frames become planes and come back bit for bit; packed formats hold the samples of their planar twins."""

import av
import numpy as np
import pytest

from vp_jax.media.pixels import pixel_format as formats
from vp_jax.media.pixels.pixel_format import PixelFormat, frame_of, pixel_format, plane_sizes, planes_of

PLANAR = (
    "yuv420p yuv422p yuv444p yuv440p yuv411p yuv410p yuv420p9le yuv420p10le yuv422p12le yuv444p14le yuv444p16le "
    "yuva420p yuva422p10le gbrp gbrp10le gbrap gbrap16le gray gray10le gray16le ya8 ya16le"
).split()


def drawn(layout, height, width):
    random = np.random.default_rng(3)
    sizes = plane_sizes(layout, height, width)
    return tuple(random.integers(0, 1 << layout.depth, size).astype(layout.dtype) for size in sizes)


@pytest.mark.parametrize("size", [(48, 64), (47, 63)], ids=str)
@pytest.mark.parametrize("name", PLANAR)
def test_planes_survive_a_frame_of_ffmpeg(name, size):
    layout = pixel_format(name)
    assert layout.name == name
    planes = drawn(layout, *size)
    back = planes_of(frame_of(planes, layout))
    assert [plane.shape for plane in back] == plane_sizes(layout, *size) and len(back) == len(planes)
    for plane, old in zip(back, planes):
        np.testing.assert_array_equal(plane, old)


@pytest.mark.parametrize(
    "name", "nv12 nv21 nv16 nv24 p010le p012le p016le p210le p410le yuyv422 uyvy422 rgb24 bgra rgb48be rgba64le".split()
)
def test_packed_formats_hold_the_same_samples(name):
    layout = pixel_format(name)
    planes = drawn(layout, 16, 32)
    packed = frame_of(planes, layout).reformat(format=name)
    assert packed.format.name == name
    for plane, old in zip(planes_of(packed), planes):
        np.testing.assert_array_equal(plane, old)


@pytest.mark.parametrize("range_", [0, 1, 2])
def test_no_range_is_changed_when_planes_are_read(range_):
    planes = drawn(PixelFormat("yuv", 8, (2, 2)), 16, 32)
    packed = frame_of(planes, PixelFormat("yuv", 8, (2, 2))).reformat(format="nv12")
    packed.color_range = range_
    np.testing.assert_array_equal(planes_of(packed)[0], planes[0])


def test_full_range_by_name_is_the_same_planes():
    frame = av.VideoFrame(32, 16, "yuvj420p")
    luma = np.arange(512, dtype=np.uint8).reshape(16, 32) % 251
    np.frombuffer(frame.planes[0], np.uint8).reshape(16, -1)[:, :32] = luma
    np.testing.assert_array_equal(planes_of(frame)[0], luma)
    assert pixel_format("yuvj420p") == PixelFormat("yuv", 8, (2, 2))


@pytest.mark.parametrize("name", ["xyz12le", "gbrpf32le", "bayer_rggb8", "vaapi", "rgb565le", "yuv420p11le"])
def test_formats_without_planes_are_known_as_such(name):
    assert pixel_format(name) is None


def test_a_palette_is_read_as_its_colours():
    colours = np.array([[255, 10, 20, 30], [255, 200, 100, 50]] + [[255, 0, 0, 0]] * 254, np.uint8)
    index = (np.arange(512).reshape(16, 32) % 2).astype(np.uint8)
    green, blue, red, alpha = planes_of(av.VideoFrame.from_ndarray((index, colours), "pal8"))
    assert (red[0, 0], green[0, 0], blue[0, 0], alpha[0, 0]) == (10, 20, 30, 255)
    assert (red[0, 1], green[0, 1], blue[0, 1]) == (200, 100, 50)


def test_repeated_chroma_is_the_same_colour_at_every_pixel():
    layout = PixelFormat("yuv", 10, (2, 1))
    planes = drawn(layout, 7, 5)
    full, wide = formats.spread(planes, layout)
    assert wide.name == "yuv444p10le" and all(plane.shape == (7, 5) for plane in full)
    np.testing.assert_array_equal(full[1][6], planes[1][3])
    np.testing.assert_array_equal(full[0], planes[0])


def test_a_format_is_named_for_people():
    assert str(pixel_format("yuva420p10le")) == "10-bit 4:2:0 with transparency"
    assert (str(pixel_format("gbrp")), str(pixel_format("gray16le"))) == ("8-bit RGB", "16-bit grey")
