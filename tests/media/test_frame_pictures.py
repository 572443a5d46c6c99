"""Frames of a film as pictures: packed ones keep their bytes until colours are asked for, small ones are reduced."""

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace, VideoReformatter

from vp_jax.media.frame_pictures import picture_of, thumbnail
from vp_jax.media.images import Picture
from vp_jax.media.pixels.pixel_format import CONVERSION

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


@pytest.mark.parametrize("size", [None, (32, 48)], ids=str)
@pytest.mark.parametrize(
    "name",
    ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "nv12", "yuv420p10le", "yuv444p12le", "gray", "gbrp", "rgb24"],
)
def test_planes_of_rgb_hold_what_ffmpeg_packs(name, size):
    smooth_HWC = np.asarray(np.add.outer(np.arange(90), np.arange(66))[..., None] + [0, 20, 80], np.uint8)
    frame = av.VideoFrame.from_ndarray(smooth_HWC, "rgb24").reformat(format=name)
    # what is untagged and small is BT.601
    options = {"src_colorspace": Colorspace.ITU601} if frame.colorspace == 2 and not frame.format.is_rgb else {}
    options |= {} if size is None else {"height": size[0], "width": size[1]}
    want_HWC = frame.reformat(format="rgb24", interpolation=CONVERSION, **options).to_ndarray()
    found_HWC = picture_of(frame, STORED, True, size, VideoReformatter()).rgb_HWC
    np.testing.assert_array_equal(found_HWC, want_HWC)
