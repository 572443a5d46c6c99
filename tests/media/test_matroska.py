"""Pixel shape and HDR metadata are put into a finished file, and nothing else in it moves."""

from fractions import Fraction

import av
import numpy as np
import pytest

from vp_jax.media import matroska
from vp_jax.media.matroska import RESERVED, describe_video, element, elements
from vp_jax.media.pixels.hdr_metadata import ContentLight, MasteringDisplay

DISPLAY = MasteringDisplay(((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)), (0.3127, 0.329), (0.005, 4000.0))
LIGHT = ContentLight(65535, 40)


def encode(path, title, codec="ffv1"):
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=24)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.metadata["title"] = title
        for value in range(6):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                np.frombuffer(plane, np.uint8)[:] = 20 * value
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix, codec", [(".mkv", "ffv1"), (".webm", "libvpx-vp9")])
@pytest.mark.parametrize("shape", [None, Fraction(4, 3), Fraction(64, 45), Fraction(10, 11)])
def test_what_is_written_is_read(tmp_path, suffix, codec, shape):
    path = encode(tmp_path / f"out{suffix}", RESERVED, codec)
    before = path.read_bytes()
    assert describe_video(path, shape, DISPLAY, LIGHT)
    after = path.read_bytes()
    assert len(after) == len(before) and after[2000:] == before[2000:]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.sample_aspect_ratio or 1) == (shape or 1)
        assert "title" not in stream.metadata
        frames = list(container.decode(video=0))
        mastering = np.frombuffer(bytes(frames[0].side_data["MASTERING_DISPLAY_METADATA"]), np.int32)[:20]
        light = np.frombuffer(bytes(frames[0].side_data["CONTENT_LIGHT_LEVEL"]), np.uint32)
    assert len(frames) == 6 and tuple(light) == LIGHT
    want = [part for point in (*DISPLAY.primaries, DISPLAY.white, DISPLAY.luminance) for part in point]
    np.testing.assert_allclose(mastering[0::2] / mastering[1::2], want, rtol=1e-5)


def test_a_track_keeps_its_own_name(tmp_path):
    path = encode(tmp_path / "out.mkv", f"holiday é{RESERVED}")
    assert describe_video(path, Fraction(4, 3), DISPLAY, None)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.metadata["title"], stream.sample_aspect_ratio) == ("holiday é", Fraction(4, 3))


def test_the_file_can_be_searched_as_before(tmp_path):
    path = encode(tmp_path / "out.mkv", RESERVED)
    describe_video(path, Fraction(4, 3), None, None)
    with av.open(str(path)) as container:
        container.seek(200_000)
        assert next(container.decode(video=0)).planes[0] is not None


def test_a_file_with_another_name_is_left_alone(tmp_path):
    path = encode(tmp_path / "out.mkv", "holiday")
    before = path.read_bytes()
    assert not describe_video(path, Fraction(4, 3), None, None)
    assert path.read_bytes() == before
    (tmp_path / "no.mkv").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(20))
    assert not describe_video(tmp_path / "no.mkv", Fraction(4, 3), None, None)


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 16382, 16383])
def test_an_element_is_read_as_it_was_written(size):
    content = bytes(range(256)) * 64
    data = element(0x55B0, content[:size]) + element(0xEC, b"", 8)
    first, second = elements(data)
    assert (first.name, first.content, second.name, second.content) == (0x55B0, content[:size], 0xEC, b"")


def test_the_checksum_of_the_tracks_is_right(tmp_path):
    import zlib

    path = encode(tmp_path / "out.mkv", RESERVED)
    describe_video(path, Fraction(4, 3), DISPLAY, LIGHT)
    segment = next(e for e in elements(path.read_bytes(), partial=True) if e.name == matroska._SEGMENT)
    tracks = next(e for e in elements(segment.content, partial=True) if e.name == matroska._TRACKS)
    checksum, *_ = elements(tracks.content)
    assert checksum.name == matroska._CRC
    assert zlib.crc32(tracks.content[6:]).to_bytes(4, "little") == checksum.content
