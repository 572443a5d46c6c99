"""What the model reads: black holes, whole cells, the given first frame, and the last frame repeated to the end."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.inference.conditioned import regions_of
from vp_jax.inference.padded import StreamedVideo, pad_video
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.media.fit import FIT_NAMES, fit_of
from vp_jax.media.frames import mapped
from vp_jax.media.quadmask import quadmask

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


def test_what_is_generated_is_whole_latent_cells_and_black_the_hole_alone(video):
    frames, holes = video
    clip = pad_video(frames, holes, WINDOW)
    assert clip.holes_FHW[2, 8:16, 16:24].all() and clip.holes_FHW[2].sum() == 64
    assert clip.holes_FHW[1].any() and not clip.holes_FHW[0].any()  # frames 1 to 4 are one latent frame
    np.testing.assert_array_equal((clip.frames_FHWC[:6] == 0).all(-1), holes)
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


def long_video(frames, height=40, width=56):
    rng = np.random.default_rng(frames)
    holes = np.zeros((frames, height, width), bool)
    for number in range(frames):
        top, left = rng.integers(0, height - 9), rng.integers(0, width - 9)
        holes[number, top : top + 9, left : left + 7] = number % 5 != 1
    return rng.integers(1, 256, (frames, height, width, 3), np.uint8), holes


@pytest.mark.parametrize("frames, mode", [*((n, "fixed") for n in (1, 2, 5, 9, 13, 14, 22, 30)), (5, "reference"),
                                          (14, "reference"), (22, "reference")])  # fmt: skip
@pytest.mark.parametrize("size", [(32, 48), (48, 64)])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("name", FIT_NAMES)
def test_a_streamed_video_has_the_windows_of_a_video_in_memory(frames, mode, size, given, name):
    settings = Settings(window=5, mode="reference") if mode == "reference" else WINDOW
    first = np.full((*size, 3), 7, np.uint8) if given else None
    source_FHWC, holes_FHW = long_video(frames)
    streamed = mapped(source_FHWC, lambda _, frame: frame, source_FHWC.shape[1:])
    holes = mapped(holes_FHW, lambda _, hole: hole, holes_FHW.shape[1:])
    fit = fit_of(name, holes_FHW, size)
    assert fit == fit_of(name, holes, size)
    video = StreamedVideo(streamed, holes, fit, settings, first)
    want = pad_video(fit.frames(source_FHWC), fit.holes(holes_FHW), settings, first)
    plan = plan_windows(frames, settings)
    assert (video.length, video.size) == (want.length, want.size)
    for order in (plan.windows, plan.windows[::2], plan.windows[::-1]):
        for start in order:
            for mine, theirs in zip(video.window(start, 5), want.window(start, 5), strict=True):
                np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(video.holes(plan, settings), want.holes(plan, settings), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", FIT_NAMES)
def test_for_void_holes_keep_their_pixels_and_a_quad_mask_comes_with_each_window(name):
    source_FHWC, removed_FHW = long_video(14)
    regions, holes_FHW = regions_of(removed_FHW, None)
    fit = fit_of(name, holes_FHW, (32, 48))
    quad_FHW = quadmask(*map(fit.holes, regions))
    want = pad_video(fit.frames(source_FHWC), fit.holes(holes_FHW), WINDOW, None, quad_FHW)
    streamed = mapped(removed_FHW, lambda _, hole: hole, removed_FHW.shape[1:])
    regions, holes = regions_of(streamed, None)
    video = StreamedVideo(source_FHWC, holes, fit, WINDOW, regions=regions)
    for start in plan_windows(14, WINDOW).windows:
        for mine, theirs in zip(video.window(start, 5), want.window(start, 5), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(video.quad(start, 5), want.quad(start, 5))
    assert {0.0, 1.0} < set(np.unique(want.quad(0, 5))) and (want.frames_FHWC[want.holes_FHW] > 0).any()
    assert pad_video(fit.frames(source_FHWC), fit.holes(holes_FHW), WINDOW).quad(0, 5) is None


def test_a_streamed_video_reads_each_frame_once_and_holds_those_of_one_window():
    source_FHWC, holes_FHW = long_video(61)
    read = []

    def noted(number, frame):
        read.append(number)
        return frame

    streamed = mapped(source_FHWC, noted, source_FHWC.shape[1:])
    fit, plan = fit_of("stretch", holes_FHW, (32, 48)), plan_windows(61, WINDOW)
    video = StreamedVideo(streamed, holes_FHW, fit, WINDOW)
    for start in plan.windows:
        video.window(start, 5)
        assert sum(len(frames) for frames, _ in video._groups.values()) <= 8
    assert read == list(range(61))


def test_a_streamed_video_of_another_size_than_multiples_of_16_is_refused():
    frames, holes = long_video(5)
    with pytest.raises(UserError, match="height 40: expected a multiple of 16"):
        StreamedVideo(frames, holes, fit_of("stretch", holes, (40, 48)), WINDOW)


@pytest.mark.parametrize("name", FIT_NAMES)
def test_a_shot_of_a_streamed_video_is_padded_as_a_video_of_its_own(name):
    source_FHWC, holes_FHW = long_video(30)
    fit, cuts = fit_of(name, holes_FHW, (32, 48)), (7, 20)
    plan, video = plan_windows(30, WINDOW, cuts), StreamedVideo(source_FHWC, holes_FHW, fit, WINDOW, cuts=cuts)
    small_FHWC, small_FHW = fit.frames(source_FHWC), fit.holes(holes_FHW)
    wanted, covered = [], []
    for shot in plan.shots:
        span = slice(shot.start, shot.start + shot.frames)
        alone, own = pad_video(small_FHWC[span], small_FHW[span], WINDOW), plan_windows(shot.frames, WINDOW)
        wanted += [alone.window(start, 5) for start in own.windows]
        covered += list(alone.holes(own, WINDOW))
    for start, want in zip(plan.windows, wanted, strict=True):
        for mine, theirs in zip(video.window(start, 5), want, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(video.holes(plan, WINDOW), covered, strict=True):
        np.testing.assert_array_equal(mine, theirs)
