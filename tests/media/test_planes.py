"""Native frames come one at a time, upright, as they are stored."""

import av
import numpy as np
import pytest
from PIL import Image

from tests import clip_files, source_formats
from tests.drawn_planes import draw
from tests.source_formats import Row, write_source
from vp_jax.errors import UserError
from vp_jax.media.images import read_image
from vp_jax.media.pixels.pixel_format import PixelFormat
from vp_jax.media.planes import native_frames, upright
from vp_jax.media.source import read_source


def test_frames_have_their_numbers(tmp_path):
    source = read_source(clip_files.encode(tmp_path / "in.mp4", clip_files.moving(9)))
    assert [frame.number for frame in native_frames(source, {1, 4, 8})] == [1, 4, 8]


@pytest.mark.parametrize(
    "row", [Row("yuv422p10le"), Row("gray16be", "png", "png"), Row("rgb48le", "tiff", "tiff")], ids=str
)
def test_samples_are_those_that_were_written(tmp_path, row):
    path = write_source(row, tmp_path)
    seen = source_formats.seen(path)
    frames = list(native_frames(read_source(path), range(3)))
    for frame, want in zip(frames, seen.planes):
        order = (1, 2, 0) if frame.layout.family == "rgb" else range(len(want))
        for plane, component in zip(frame.planes, order):
            np.testing.assert_array_equal(plane, want[component])
    assert len(frames) == 3


@pytest.mark.parametrize(
    "orientation, turn",
    [
        ((False, False, False), lambda a: a),
        ((True, True, False), lambda a: np.rot90(a, -1)),
        ((True, False, True), np.rot90),
        ((False, True, True), lambda a: np.rot90(a, 2)),
        ((False, True, False), np.fliplr),
        ((True, False, False), np.transpose),
    ],
)
def test_planes_are_turned_together(orientation, turn):
    planes = (np.arange(24).reshape(4, 6), np.arange(6).reshape(2, 3))
    for plane, old in zip(upright(planes, orientation), planes):
        np.testing.assert_array_equal(plane, turn(old))


def test_images_of_a_folder_are_upright(tmp_path):
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    picture = clip_files.moving(1)[0]
    Image.fromarray(picture).save(tmp_path / "in" / "0.jpg", quality=98, exif=exif)
    source = read_source(tmp_path / "in")
    (frame,) = native_frames(source, {0})
    assert (source.height, source.width) == (64, 48) == frame.planes[0].shape
    luma = np.rot90(picture, -1) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(frame.planes[0] - luma).mean() < 2


def test_frames_of_another_size_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    for index, size in enumerate([(8, 8), (8, 9)]):
        Image.new("RGB", size).save(tmp_path / "in" / f"{index}.png")
    with pytest.raises(UserError, match="frame 1: 8x9 pixels, expected 8x8 as in the first frame"):
        list(native_frames(read_source(tmp_path / "in"), range(2)))


def test_pictures_of_a_film_that_pillow_reads_are_rgb(tmp_path):
    frames = clip_files.moving(3)
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(tmp_path / "in.png", save_all=True, append_images=rest)
    found = list(native_frames(read_source(tmp_path / "in.png"), {0, 2}))
    assert [frame.number for frame in found] == [0, 2]
    for frame in found:
        green, blue, red = frame.planes
        np.testing.assert_array_equal(np.stack([red, green, blue], axis=-1), frames[frame.number])


def test_a_film_of_an_odd_size_is_turned_with_repeated_chroma(tmp_path):
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=24, options={"crf": "10", "b": "0"})
        stream.height, stream.width, stream.pix_fmt = 47, 63, "yuv420p"
        stream.set_display_rotation(180)
        for number in range(2):
            container.mux(stream.encode(draw("yuv420p", (47, 63), number)))
        container.mux(stream.encode())
    source = read_source(path)
    assert source.notes == ("format 8-bit 4:2:0 has no turned twin: chroma is repeated, 8-bit 4:4:4",)
    for frame, stored in zip(native_frames(source, range(2)), source_formats.seen(path).planes):
        assert frame.layout == source.layout
        np.testing.assert_array_equal(np.rot90(frame.planes[0], 2), stored[0])
        for plane, half in zip(frame.planes[1:], stored[1:]):
            np.testing.assert_array_equal(np.rot90(plane, 2), half.repeat(2, 0).repeat(2, 1)[:47, :63])


def test_colours_that_ffmpeg_shows_otherwise_are_read_as_the_model_sees_them(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(clip_files.moving(1)[0]).convert("CMYK").save(tmp_path / "in" / "0.jpg", quality=98)
    (frame,) = native_frames(read_source(tmp_path / "in"), {0})
    green, blue, red = frame.planes
    np.testing.assert_array_equal(np.stack([red, green, blue], axis=-1), read_image(tmp_path / "in" / "0.jpg"))


def test_a_single_image_keeps_its_depth(tmp_path):
    path = write_source(Row("rgb48be", "png", "png"), tmp_path) / "00000.png"
    source = read_source(path)
    (frame,) = native_frames(source, {0})
    assert source.layout == frame.layout == PixelFormat("rgb", 16) and not source.images
