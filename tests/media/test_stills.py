"""Images of a result: every sample, our name, and TIFF where the source is a folder of TIFF."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from tests import source_formats
from tests.drawn_planes import generated
from tests.source_formats import Row, holes, write_source
from vp_jax.media.fidelity import outside
from vp_jax.media.native_writer import Pasting, write_pasted
from vp_jax.media.pixels.pixel_format import PixelFormat, frame_of
from vp_jax.media.planes import native_frames
from vp_jax.media.source import read_source
from vp_jax.media.stills import PNG, TIFF, is_marked, marked, still_bytes
from vp_jax.media.video import read_video

KINDS = [(family, depth, alpha) for family in ("rgb", "grey") for depth in (8, 16) for alpha in (False, True)]
LAYOUTS = [PixelFormat(family, depth, alpha=alpha) for family, depth, alpha in KINDS]


@pytest.mark.parametrize("layout, suffix", [(x, PNG) for x in LAYOUTS] + [(x, TIFF) for x in LAYOUTS[:-1]], ids=str)
def test_an_image_holds_every_sample_and_our_name(layout, suffix, tmp_path):
    rng, count = np.random.default_rng(0), (3 if layout.family == "rgb" else 1) + layout.alpha
    planes = tuple(rng.integers(0, 1 << layout.depth, (9, 14)).astype(layout.dtype) for _ in range(count))
    file = tmp_path / f"00000{suffix}"
    file.write_bytes(still_bytes(planes, layout, suffix))
    assert not is_marked(file)
    file.write_bytes(marked(file.read_bytes(), suffix))
    assert is_marked(file) and b"Lavc" not in file.read_bytes()
    source = read_source(file)
    (frame,) = native_frames(source, {0})
    assert source.layout == layout
    for read, given in zip(frame.planes, planes, strict=True):
        np.testing.assert_array_equal(read, given)


def test_a_file_of_another_program_or_name_is_not_ours(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "00000.tiff")
    Image.new("RGB", (4, 4)).save(tmp_path / "00000.png")
    (tmp_path / "00001.tiff").write_bytes(b"II*\0")
    ours = marked(still_bytes((np.zeros((4, 4), np.uint8),), PixelFormat("grey", 8), TIFF), TIFF)
    (tmp_path / "frame.tiff").write_bytes(ours)
    assert not any(is_marked(file) for file in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["rgb24", "rgb48le", "gray16le"])
def test_a_folder_of_tiff_gives_one_of_its_depth_unchanged_outside_the_hole(name, tmp_path):
    source = read_source(write_source(Row(name, "tiff", "tiff", ""), tmp_path))
    pasting = Pasting(source, range(source_formats.F), lambda _: generated((48, 64)), holes((48, 64)))
    for _ in range(2):  # the second replaces the first, which it knows as its own
        write_pasted(tmp_path / "out", pasting, Fraction(24), warn=print)
    files = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert files == [f"{number:05d}.tiff" for number in range(source_formats.F)]
    assert read_source(tmp_path / "out").layout == source.layout
    assert outside(tmp_path / "out", pasting).largest == 0


def test_a_film_of_8_bits_is_rounded_once_on_its_way_to_rgb(tmp_path):
    """BT.709 of limited range by its equations (ITU-R BT.709, 3.2 to 3.5)."""
    rng, (height, width) = np.random.default_rng(0), (48, 64)
    planes = [rng.integers(*ends, (height, width)).astype(np.uint8) for ends in ((40, 210), (108, 148), (108, 148))]
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        frame = frame_of(tuple(planes), PixelFormat("yuv", 8))
        frame.colorspace, frame.color_range = 1, 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    y, cb, cr = (planes[0] - 16.0) / 219, (planes[1] - 128.0) / 224, (planes[2] - 128.0) / 224
    red, blue = y + 2 * (1 - 0.2126) * cr, y + 2 * (1 - 0.0722) * cb
    exact_HWC = 255 * np.stack([red, (y - 0.2126 * red - 0.0722 * blue) / 0.7152, blue], axis=-1)
    assert np.abs(read_video(tmp_path / "in.mkv")[0][0] - exact_HWC.clip(0, 255)).max() < 0.52
