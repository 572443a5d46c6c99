"""A flipped bit in a lossless video is found by its checksums, and sound files of every version are read."""

import io

import av
import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.media.ffv1 import is_damaged
from vp_jax.media.video import read_frames, read_video
from vp_jax.media.video_writer import write_video

DRAW = np.random.default_rng(0)
FRAMES = DRAW.integers(0, 256, (6, 32, 48, 3), np.uint8)
FRAMES[::2, 8:] = 90  # slices of very different lengths


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A video as this project writes it: its bytes, and place and size of every frame in it."""
    path = tmp_path_factory.mktemp("film") / "a.mkv"
    write_video(path, FRAMES, 24)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    return path.read_bytes(), places


def encode(container_format, **options):
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream("ffv1", rate=24, options={"strict": "experimental", **options})
        stream.height, stream.width, stream.pix_fmt = *FRAMES.shape[1:3], "bgr0"
        for frame_HWC in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_HWC, "rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    return file.getvalue()


def test_forty_flipped_bits_are_never_read_as_other_pixels(film):
    whole, places = film
    draw = np.random.default_rng(1)
    for number in range(40):
        frame = number % len(places)
        position, size = places[frame]
        damaged = bytearray(whole)
        byte = position + draw.integers(4, size)  # a Matroska block begins with four bytes of its own
        damaged[byte + 4] ^= 1 << draw.integers(8)
        with pytest.raises(UserError, match=rf"^video: frame {frame} is damaged \(its checksum is wrong\)") as caught:
            read_video(bytes(damaged))
        assert "\n" not in str(caught.value)


def test_damage_behind_the_last_frame_that_is_wanted_does_not_matter(film):
    whole, places = film
    damaged = bytearray(whole)
    damaged[places[4][0] + 100] ^= 1
    np.testing.assert_array_equal(read_frames(bytes(damaged), [0, 2]), FRAMES[[0, 2]])
    with pytest.raises(UserError, match="frame 4 is damaged"):
        read_frames(bytes(damaged), [0, 5])


@pytest.mark.parametrize("container_format", ["matroska", "avi", "nut"])
@pytest.mark.parametrize(
    "options",
    [{"level": level} for level in "0134"]
    + [{"level": level, "slicecrc": "0"} for level in "34"]
    + [{"level": "3", "slices": "1"}, {"level": "3", "slices": "16", "g": "100", "coder": "range_tab"}],
    ids=str,
)
def test_sound_files_of_every_version_are_read(container_format, options):
    frames_FHWC, _ = read_video(encode(container_format, **options))
    np.testing.assert_array_equal(frames_FHWC, FRAMES)


@pytest.mark.parametrize("level", ["3", "4"])
def test_every_bit_of_a_frame_and_of_the_configuration_counts(level):
    with av.open(io.BytesIO(encode("nut", level=level))) as container:
        configuration = bytes(container.streams.video[0].codec_context.extradata)
        packet = next(bytes(packet) for packet in container.demux(video=0))
    assert not is_damaged(configuration, packet)
    for bit in [*range(0, 8 * len(packet), 97), *range(8 * len(packet) - 64, 8 * len(packet))]:
        damaged = bytearray(packet)
        damaged[bit // 8] ^= 1 << bit % 8
        assert is_damaged(configuration, bytes(damaged)), bit
    for bit in range(0, 8 * len(configuration), 7):
        damaged = bytearray(configuration)
        damaged[bit // 8] ^= 1 << bit % 8
        assert is_damaged(bytes(damaged), packet), bit
    assert is_damaged(configuration, packet[:-1]) and is_damaged(configuration, packet[1:])


def test_versions_without_checksums_are_taken_as_they_are():
    assert not is_damaged(b"", b"anything")
