"""Frames of a film as pictures: packed ones keep their bytes until colours are asked for, small ones are reduced."""

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from vp_jax.media.frame_pictures import picture_of, thumbnail
from vp_jax.media.images import Picture

RGB_HWC = np.random.default_rng(0).choice(np.uint8([0, 1, 127, 128, 255]), (90, 33, 3), p=[0.8, 0.05, 0.05, 0.05, 0.05])
STORED = False, False, False


@pytest.mark.parametrize("name", ["bgr0", "rgb0", "bgr24"])
@pytest.mark.parametrize("orientation", [STORED, (True, True, False)], ids=str)
def test_a_packed_picture_is_as_bright_as_its_colours(name, orientation):
    frame = av.VideoFrame.from_ndarray(RGB_HWC, "rgb24").reformat(format=name)
    found = picture_of(frame, orientation, True, None, VideoReformatter())
    want_HWC = RGB_HWC if orientation == STORED else RGB_HWC.swapaxes(0, 1)[:, ::-1]
    assert found.size == want_HWC.shape[:2] and found.lossless and not found.has_alpha
    for level in (0, 1, 127, 200):
        np.testing.assert_array_equal(found.above(level), want_HWC.max(axis=-1) > level)
        np.testing.assert_array_equal(Picture(want_HWC).above(level), want_HWC.max(axis=-1) > level)
    np.testing.assert_array_equal(found.rgb_HWC, want_HWC)
    np.testing.assert_array_equal(found.over_black(), want_HWC)


def test_what_is_prepared_for_one_frame_serves_the_next_of_any_size_and_format():
    shared = VideoReformatter()
    for size, name in (((360, 640), "yuv420p"), ((360, 640), "yuv420p"), ((64, 48), "yuv444p"), ((300, 256), "gray")):
        frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 90, np.uint8), "rgb24").reformat(format=name)
        np.testing.assert_array_equal(thumbnail(frame, shared), thumbnail(frame, VideoReformatter()))
        given = frame, STORED, False, None
        np.testing.assert_array_equal(
            picture_of(*given, shared).rgb_HWC, picture_of(*given, VideoReformatter()).rgb_HWC
        )
    assert max(thumbnail(frame, shared).shape) == 256
