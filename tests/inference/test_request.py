"""What a call is made of: holes, first frame, sizes, pasting; checked before anything is sampled."""

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Mask, Video
from vp_jax.inference.request import check_size, holes_of, make_request
from vp_jax.inference.settings import Settings
from vp_jax.inference.task import growth_of
from vp_jax.media.canvas import resize_frames
from vp_jax.media.masks import dilate

FRAMES = clip_files.moving(6, 48, 64)
HOLES = np.zeros((6, 48, 64), bool)
HOLES[:, 16:32, 16:40] = True
SETTINGS = Settings(window=5, overlap=1)


def request(**look):
    return make_request(Video(FRAMES), Mask(HOLES), SETTINGS, (32, 32), look)


def test_frames_and_holes_reach_the_model_at_its_size():
    made = request()
    assert made.size == (32, 32) and made.padded.frames_FHWC.shape == (9, 32, 32, 3)
    assert made.plan.windows == (0, 4) and made.plan.output_frames == 6
    assert (made.paste, made.feather) == (True, 0)
    np.testing.assert_array_equal(made.holes_FHW, HOLES)
    assert made.padded.holes_FHW[0, 12:20, 8:20].all()


def test_the_original_first_frame_keeps_its_pixels():
    made = request(first_frame="original")
    assert not made.holes_FHW[0].any() and not made.padded.holes_FHW[0].any() and made.padded.holes_FHW[1].any()
    assert HOLES[0].any()  # the caller's array stays
    with pytest.raises(UserError, match="first_frame original: only frame 0 has a hole"):
        holes_of(Video(FRAMES[:1]), Mask(HOLES[:1]), "original")


def test_a_picture_of_any_size_is_the_first_frame(tmp_path):
    picture = np.full((90, 100, 3), (9, 200, 9), np.uint8)
    Image.fromarray(picture).save(tmp_path / "first.png")
    for first in (picture, tmp_path / "first.png", str(tmp_path / "first.png")):
        made = request(first_frame=first)
        assert (made.padded.frames_FHWC[0] == (9, 200, 9)).all()
        assert not made.padded.holes_FHW[0].any() and made.holes_FHW[0].any()  # it is pasted by the mask
    with pytest.raises(UserError, match=r"first_frame is float64 of shape \(90, 100, 3\): expected uint8"):
        request(first_frame=picture / 255)
    with pytest.raises(UserError, match=r"none.png: no such file"):
        request(first_frame="none.png")


def test_a_removal_grows_its_hole_in_proportion_unless_a_number_is_given():
    grown = growth_of("remove", (48, 64))
    assert grown > 0 and growth_of("fill", (48, 64)) == 0 and growth_of("remove", (480, 640)) > 5 * grown
    np.testing.assert_array_equal(request(task="remove").holes_FHW, dilate(HOLES, grown))
    own = make_request(Video(FRAMES), Mask(HOLES, grow=0), SETTINGS, (32, 32), {"task": "remove"})
    np.testing.assert_array_equal(own.holes_FHW, HOLES)


def test_a_border_is_hole_and_the_video_grows():
    made = make_request(Video(FRAMES), None, SETTINGS, (32, 32), {"extend": "right=16"})
    assert made.video.size == (48, 80) and made.holes_FHW[:, :, 64:].all() and not made.holes_FHW[:, :, :64].any()
    assert request(extend="right=16").holes_FHW.sum() == HOLES.sum() + 6 * 48 * 16
    with pytest.raises(UserError, match="no `mask`, and nothing to `extend`"):
        make_request(Video(FRAMES), None, SETTINGS, (32, 32), {})
    with pytest.raises(UserError, match="task remove: expected a `mask`"):
        make_request(Video(FRAMES), None, SETTINGS, (32, 32), {"task": "remove", "extend": "right=16"})


def test_a_given_first_frame_is_fitted_like_the_video():
    first = FRAMES[3]
    made = request(first_frame=first, fit="crop")
    np.testing.assert_array_equal(made.padded.frames_FHWC[0], made.fit.frames(first[None])[0])
    small = request(first_frame=resize_frames(first[None], 24, 32)[0], fit="letterbox")
    assert small.padded.frames_FHWC[0].shape == (32, 32, 3)


@pytest.mark.parametrize(
    "look, message",
    [({"feather": -1}, "feather -1"), ({"feather": 2, "paste": False}, "feather 2: .* a result that is pasted")],
)
def test_pasting_that_cannot_be_is_named(look, message):
    with pytest.raises(UserError, match=message):
        request(**look)


@pytest.mark.parametrize(
    "size, message",
    [
        ((100, None), "height 100: expected a multiple of 16"),
        ((None, 0), "width 0: expected 16 to 8192"),
        ((8, 16), "height 8: expected 16 to 8192"),
        ((16, 9000), "width 9000: expected 16 to 8192"),
    ],
)
def test_sizes_are_multiples_of_16_within_a_range(size, message):
    check_size(16, 720)
    check_size(None, None)
    with pytest.raises(UserError, match=message):
        check_size(*size)
