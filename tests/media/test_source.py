"""What a source says of its pixels is read as it was written."""

from fractions import Fraction

import av
import pytest

from tests import clip_files
from tests.drawn_planes import draw
from tests.source_formats import HLG, PQ, Row, write_source
from vp_jax.errors import UserError
from vp_jax.media.pixels.frame_properties import site_name
from vp_jax.media.pixels.pixel_format import PixelFormat
from vp_jax.media.source import read_source, stamps_of, upright_layout


@pytest.mark.parametrize("tags", [PQ, HLG, (1, 1, 1, 2), (5, 6, 5, 1), (2, 2, 2, 0)], ids=str)
def test_the_tags_are_read(tmp_path, tags):
    source = read_source(write_source(Row("yuv420p10le", tags=tags), tmp_path))
    assert tuple(source.colours) == tags
    assert (source.light is None) == (tags not in (PQ, HLG))
    assert source.matrix == (6 if tags[2] == 2 else tags[2])


def test_pixels_that_are_not_square_are_read(tmp_path):
    assert read_source(write_source(Row("yuv420p", shape=Fraction(16, 11)), tmp_path)).pixel_shape == Fraction(16, 11)


def turned(path, degrees, pix_fmt="yuv420p", size=(48, 64), **flips):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_rotation(degrees, **flips)
        container.mux(stream.encode(draw(pix_fmt, size, 0)))
        container.mux(stream.encode())
    return read_source(path)


@pytest.mark.parametrize(
    "degrees, size, site, shape",
    [
        (90, (64, 48), (1.0, 0.5), Fraction(3, 4)),
        (-90, (64, 48), (0.0, 0.5), Fraction(3, 4)),
        (180, (48, 64), (0.5, 1.0), Fraction(4, 3)),
    ],
)
def test_a_turned_source_is_described_upright(tmp_path, degrees, size, site, shape):
    """Chroma at the left of two columns lies at the bottom, top or right of two when the picture is turned."""
    source = turned(tmp_path / "in.mp4", degrees)
    assert ((source.height, source.width), source.site, source.pixel_shape) == (size, site, shape)
    assert site_name(source.site, source.layout.step) == {90: "bottom", -90: "top", 180: None}[degrees]


def test_planes_that_cannot_be_turned_are_spread_and_it_is_said(tmp_path):
    assert turned(tmp_path / "a.mp4", 90, "yuv422p10le").layout == PixelFormat("yuv", 10, (2, 1))
    upside_down = (False, True, True)
    layout, site, repeated = upright_layout(PixelFormat("yuv", 8, (2, 2)), (0.5, 0.0), upside_down, (47, 63))
    assert (layout, site, repeated) == (PixelFormat("yuv", 8), (0.0, 0.0), True)
    assert upright_layout(PixelFormat("yuv", 16, (1, 2)), (0.0, 0.0), (True, True, False), (48, 64))[2]
    assert upright_layout(PixelFormat("yuv", 8, (1, 4)), (0.0, 0.0), (True, True, False), (48, 64))[2]
    assert not upright_layout(PixelFormat("yuv", 8, (2, 2)), (0.5, 0.0), (True, False, False), (47, 63))[2]


def test_a_format_without_planes_is_said(tmp_path):
    path = tmp_path / "in.nut"
    with av.open(str(path), "w", format="nut") as container:
        stream = container.add_stream("rawvideo", rate=24)
        stream.height, stream.width, stream.pix_fmt = 16, 32, "rgb565le"
        container.mux(stream.encode(av.VideoFrame(32, 16, "rgb565le")))
    source = read_source(path)
    assert source.layout is None
    assert source.notes == ("format rgb565le of the source cannot be kept: 8-bit RGB",)


def test_a_change_of_the_file_is_noticed(tmp_path):
    path = clip_files.encode(tmp_path / "in.mp4", clip_files.moving(4))
    source = read_source(path)
    source.check_unchanged()
    clip_files.encode(path, clip_files.moving(5))
    with pytest.raises(UserError, match=r"in\.mp4: changed while it was used, start again"):
        source.check_unchanged()
    folder = clip_files.folder(tmp_path / "frames", clip_files.moving(3))
    before = stamps_of(folder)
    (folder / "00001.png").unlink()
    assert stamps_of(folder) != before and len(before) == 3


def test_pictures_that_only_pillow_reads_come_as_rgb(tmp_path):
    frames = [clip_files.Image.fromarray(frame) for frame in clip_files.moving(3)]
    frames[0].save(tmp_path / "in.webp", save_all=True, append_images=frames[1:], lossless=True)
    source = read_source(tmp_path / "in.webp")
    assert (source.layout, source.height, source.width) == (PixelFormat("rgb", 8), 48, 64)


def test_no_frame_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no video stream"):
        read_source(clip_files.sound_only(tmp_path / "in.m4a"))
