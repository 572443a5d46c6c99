"""Frames by number, against PyAV's plain decoding loop."""

import av
import numpy as np
import pytest

from tests.data.make_vpdata_layout import draw_clip
from vp_jax.data.records import BadRecord
from vp_jax.media.decode import encode_mp4, probe, read_frames


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    file = tmp_path_factory.mktemp("video") / "clip.mp4"
    file.write_bytes(encode_mp4(draw_clip(40, 48, 65)[0], 30000 / 1001))
    return file


def test_frames_by_number_are_the_frames_of_the_file(video):
    with av.open(str(video)) as container:
        all_FHWC = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    indices_F = np.array([0, 3, 4, 17, 39])
    np.testing.assert_array_equal(read_frames(video, indices_F), all_FHWC[indices_F])
    np.testing.assert_array_equal(read_frames(video.read_bytes(), indices_F), all_FHWC[indices_F])


def test_header(video):
    info = probe(video)
    assert (info.frames, info.height, info.width) == (40, 48, 65)
    assert info.fps == pytest.approx(29.97, abs=0.01)


def test_encoding_is_close():
    frames_FHWC = draw_clip(5, 48, 64)[0]
    got_FHWC = read_frames(encode_mp4(frames_FHWC, 8, crf=6), np.arange(5))
    assert np.abs(got_FHWC.astype(int) - frames_FHWC).mean() < 3


def test_files_without_a_frame_count_are_counted(tmp_path):
    frames_FHWC = draw_clip(7, 48, 64)[0]
    file = tmp_path / "clip.mkv"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for image_HWC in frames_FHWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_HWC, format="rgb24")))
        container.mux(stream.encode())
    assert probe(file).frames == 7


@pytest.mark.parametrize(
    "content, message",
    [(None, "No such file"), (b"", "cannot be read"), (b"not a video" * 50, "cannot be read")],
)
def test_unreadable_files_are_bad_records(tmp_path, content, message):
    file = tmp_path / "bad.mp4"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadRecord, match=message):
        probe(file)


def test_a_video_that_ends_early_says_where(video):
    with pytest.raises(BadRecord, match="ends after 40 frames, frame 41"):
        read_frames(video, np.array([0, 41]))
