"""What the model reads: black holes, whole cells, the given first frame, and the last frame repeated to the end."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.inference.padded import pad_video
from vp_jax.inference.settings import Settings

WINDOW = Settings(window=5, overlap=1)


@pytest.fixture
def video():
    frames = np.arange(1, 7, dtype=np.uint8)[:, None, None, None] * np.full((6, 32, 48, 3), 20, np.uint8)
    holes = np.zeros((6, 32, 48), bool)
    holes[2:, 9:12, 17:20] = True
    return frames, holes


def test_the_end_is_padded_with_the_last_frame_and_its_hole(video):
    frames, holes = video
    holes[5] = False
    holes[5, :8, :8] = True
    clip = pad_video(frames, holes, WINDOW)
    assert clip.frames_FHWC.shape == (9, 32, 48, 3) and clip.holes_FHW.shape == (9, 32, 48)
    for padded in (6, 7, 8):
        np.testing.assert_array_equal(clip.frames_FHWC[padded], clip.frames_FHWC[5])
        np.testing.assert_array_equal(clip.holes_FHW[padded], clip.holes_FHW[5])
    assert clip.frames_FHWC[8, 20, 40, 0] == 120 != clip.frames_FHWC[0, 20, 40, 0]


def test_holes_are_black_and_cover_whole_latent_cells(video):
    frames, holes = video
    clip = pad_video(frames, holes, WINDOW)
    assert clip.holes_FHW[2, 8:16, 16:24].all() and clip.holes_FHW[2].sum() == 64
    assert clip.holes_FHW[1].any() and not clip.holes_FHW[0].any()  # frames 1 to 4 are one latent frame
    assert not clip.frames_FHWC[clip.holes_FHW].any() and clip.frames_FHWC[~clip.holes_FHW].all()
    assert frames.all() and holes[2].sum() == 9  # what was given stays


def test_reference_mode_leaves_holes_as_they_are(video):
    frames, holes = video
    clip = pad_video(frames, holes, Settings(window=5, mode="reference"))
    np.testing.assert_array_equal(clip.holes_FHW, holes)
    assert len(clip.frames_FHWC) == 6


def test_a_given_first_frame_takes_the_place_of_frame_0_and_closes_its_hole(video):
    frames, holes = video
    holes[0, :16, :16] = True
    assert pad_video(frames, holes, WINDOW).holes_FHW[0].any()
    first = np.full((32, 48, 3), 7, np.uint8)
    clip = pad_video(frames, holes, WINDOW, first)
    np.testing.assert_array_equal(clip.frames_FHWC[0], first)
    assert not clip.holes_FHW[0].any() and clip.holes_FHW[2].any()


def test_windows_are_pixels_from_minus_one_to_one(video):
    frames, holes = video
    pixels, mask = pad_video(frames, holes, WINDOW).window(4, 5)
    assert pixels.shape == (1, 5, 32, 48, 3) and mask.shape == (1, 5, 32, 48)
    assert pixels.dtype == mask.dtype == np.float32
    assert set(np.unique(mask)) == {0, 1} and pixels.min() == -1
    np.testing.assert_allclose(pixels[0, 1, 20, 40], 120 / 127.5 - 1)


@pytest.mark.parametrize("size, message", [((24, 48), "height 24"), ((32, 40), "width 40")])
def test_other_sizes_are_named(size, message):
    with pytest.raises(UserError, match=f"{message}: expected a multiple of 16"):
        pad_video(np.zeros((5, *size, 3), np.uint8), np.zeros((5, *size), bool), WINDOW)
