"""Videos and masks from arrays and files: what fits is taken as it is, everything else is one clear line."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Mask, Video, as_mask, as_video, fit_frames

FRAMES = clip_files.moving(6, 32, 48)
HOLES = np.zeros((6, 32, 48), bool)
HOLES[:, 8:16, 8:24] = True


@pytest.mark.parametrize(
    "array, message",
    [
        (FRAMES / 255, r"video is float64: expected uint8 .*, here 0.\d+ to 0.\d+; convert with \(255 \* video\)"),
        (FRAMES.astype(np.float32), r"video is float32: expected uint8 with values 0 to 255, here \d+ to \d+$"),
        (FRAMES / 127.5 - 1, r"here -0.\d+ to 0.\d+$"),
        (FRAMES.astype(np.int64), "video is int64: expected uint8"),
        (FRAMES[0], r"shape \(32, 48, 3\): expected \(frames, height, width, 3\); for a single frame, video\[None\]"),
        (FRAMES[..., 0], r"shape \(6, 32, 48\)"),
        (FRAMES[:, :, :, :1], "expected 3 channels"),
        (FRAMES.transpose(0, 3, 1, 2), "expected 3 channels, .*, channels last"),
        (FRAMES[:0], "at least one frame"),
        ("in.mp4", "read the file with read_video first"),
    ],
)
def test_frames_of_another_kind_are_named(array, message):
    with pytest.raises(UserError, match=message) as caught:
        as_video(array)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.where(HOLES, 200, 3), "mask holds 3, 200: expected bool, 0 and 1, or 0 and 255; for grey values, mask >="),
        (np.arange(6 * 32 * 48).reshape(6, 32, 48) % 256, r"mask holds 0, 1, 2, 3 \.\.\.: expected bool"),
        (HOLES * 0.5, "mask holds 0, 0.5"),
        (
            np.repeat(HOLES[..., None], 3, axis=-1),
            r"mask has shape \(6, 32, 48, 3\): expected \(frames, height, width\)",
        ),
        (HOLES[0, 0], r"mask has shape \(48,\)"),
        ("mask.png", "read the file with read_mask first"),
    ],
)
def test_masks_of_another_kind_are_named(array, message):
    with pytest.raises(UserError, match=message):
        as_mask(array)


@pytest.mark.parametrize(
    "mask, message",
    [
        (Mask(HOLES[:4]), "the mask has 4 frames, the video 6"),
        (Mask(HOLES[:, :16]), "the mask is 48x16 pixels, the video 48x32"),
        (Mask(HOLES & False), "empty in every frame"),
        (Mask(HOLES | True), "covers every frame"),
        (Mask(HOLES & False, invert=True), "covers every frame"),
    ],
)
def test_masks_that_do_not_fit_are_named(mask, message):
    with pytest.raises(UserError, match=message):
        mask.fitted(Video(FRAMES))


def test_values_that_mean_the_same_hole():
    want = Mask(HOLES).fitted(Video(FRAMES))
    for array in (HOLES, HOLES.astype(np.uint8), HOLES * np.uint8(255), HOLES * 1.0, HOLES.tolist()):
        np.testing.assert_array_equal(as_mask(array).fitted(Video(FRAMES)), want)
    np.testing.assert_array_equal(as_mask(HOLES[0]).fitted(Video(FRAMES)), want)
    np.testing.assert_array_equal(Mask(~HOLES, invert=True).fitted(Video(FRAMES)), want)


def test_holes_grow_and_other_sizes_are_resized_where_that_is_asked_for():
    grown = Mask(HOLES, grow=2).fitted(Video(FRAMES))
    assert grown[0, 6:18, 6:26].all() and grown[0].sum() == 12 * 20
    np.testing.assert_array_equal(Mask(HOLES[:, ::2, ::2], resize=True).fitted(Video(FRAMES)), HOLES)
    with pytest.raises(UserError, match="grow -1: expected 0 to 8192 pixels"):
        Mask(HOLES, grow=-1)


def test_a_video_file_knows_where_it_came_from(tmp_path):
    path = clip_files.encode(tmp_path / "in.mp4", clip_files.moving(30), sound=True)
    video = Video.read(path, start=6, stop=24, fps=8)
    assert (len(video), video.start, video.stop, video.step) == (6, 6, 24, 3)
    assert video.fps == Fraction(10000, 1001) and video.path == path and video.has_audio and video.size == (48, 64)
    assert video.start_seconds == pytest.approx(6 * 1001 / 30000)
    assert as_video(video) is video
    assert Video(FRAMES).fps == 8 and Video(FRAMES, fps=24).fps == 24 and not Video(FRAMES).has_audio
    with pytest.raises(UserError, match=r"fps 0: expected 0\.001 to 100000"):
        Video(FRAMES, fps=0)


def test_a_mask_is_read_at_the_video_s_frames(tmp_path):
    holes = np.zeros((30, 48, 64), np.uint8)
    for frame in range(30):
        holes[frame, : frame + 1] = 255
    clip_files.folder(tmp_path / "masks", holes)
    video = Video.read(clip_files.encode(tmp_path / "in.mp4", clip_files.moving(30)), start=6, stop=24, fps=8)
    fitted = Mask.read(tmp_path / "masks", like=video).fitted(video)
    assert fitted[:, :, 0].sum(axis=1).tolist() == [7, 10, 13, 16, 19, 22]
    with pytest.raises(UserError, match="the mask has 30 frames, the video 6"):
        Mask.read(tmp_path / "masks").fitted(video)
    whole = Video.read(tmp_path / "in.mp4")
    np.testing.assert_array_equal(Mask.read(tmp_path / "masks", like=whole).fitted(whole), holes > 0)


def test_one_picture_is_the_mask_of_every_frame(tmp_path):
    Image.fromarray(HOLES[0].astype(np.uint8) * 255).save(tmp_path / "mask.png")
    mask = Mask.read(tmp_path / "mask.png")
    assert mask.static
    np.testing.assert_array_equal(mask.fitted(Video(FRAMES)), HOLES)
    labels = np.where(HOLES, 3, 0).astype(np.int32)
    np.savez(tmp_path / "labels.npz", labels)
    np.testing.assert_array_equal(Mask.read(tmp_path / "labels.npz", mask_id=3).fitted(Video(FRAMES)), HOLES)


def test_how_a_file_was_read_is_noted(tmp_path):
    rgba = np.zeros((32, 48, 4), np.uint8)
    rgba[8:16, 8:24, 3] = 255
    Image.fromarray(rgba).save(tmp_path / "painted.png")
    mask = Mask.read(tmp_path / "painted.png")
    assert mask.note == "its transparency marks the hole: what is opaque is generated"
    np.testing.assert_array_equal(mask.fitted(Video(FRAMES)), HOLES)
    assert Mask(HOLES).note == ""


def test_a_folder_of_images_has_the_rate_that_is_given(tmp_path):
    folder = clip_files.folder(tmp_path / "frames", FRAMES)
    assert Video.read(folder).fps == 8 and Video.read(folder, folder_fps=24).fps == 24
    assert Video.read(folder, folder_fps=24, fps=8).fps == 8
    with pytest.raises(UserError, match=r"folder_fps 0: expected 0\.001 to 100000"):
        Video.read(folder, folder_fps=0)
    film = clip_files.encode(tmp_path / "in.mp4", FRAMES)
    with pytest.raises(UserError, match=r"folder_fps 24: .* is a file, which states its own rate"):
        Video.read(film, folder_fps=24)


@pytest.mark.parametrize("masks, fit, frames", [(4, "hold", 6), (4, "cut", 4), (8, "hold", 6), (8, "cut", 6)])
def test_a_mask_of_another_length_holds_its_last_frame_or_cuts_the_video(tmp_path, masks, fit, frames):
    video = Video.read(clip_files.encode(tmp_path / "in.mp4", clip_files.moving(6), sound=True))
    holes = np.zeros((masks, 48, 64), bool)
    for number in range(masks):
        holes[number, number : number + 9, :9] = True
    fitted, mask = fit_frames(video, Mask(holes), fit)
    assert len(fitted) == len(mask.holes_FHW) == frames == len(mask.fitted(fitted))
    np.testing.assert_array_equal(mask.holes_FHW[: min(masks, frames)], holes[:frames])
    np.testing.assert_array_equal(mask.holes_FHW[-1], holes[min(masks, frames) - 1])
    assert len(fitted.clock) == frames and mask.note.startswith("2 masks ")
    assert fitted.tracks.end == (None if frames == 6 else Fraction(4 * 1001, 30000))


def test_masks_that_fit_are_left_alone_and_others_are_refused_with_what_to_do():
    video, still = Video(np.repeat(FRAMES[:1], 6, axis=0)), Mask(np.eye(48, 64, dtype=bool))
    assert fit_frames(video, still, "cut") == (video, still)
    short = Mask(np.repeat(np.eye(48, 64, dtype=bool)[None], 4, axis=0))
    assert fit_frames(video, short, None) == (video, short)
    with pytest.raises(UserError, match="`mask_fit` hold or cut accepts another count"):
        short.fitted(video)
    with pytest.raises(UserError, match="mask_fit stretch: expected hold or cut"):
        fit_frames(video, short, "stretch")


def test_a_stale_promise_of_a_video_is_a_note(tmp_path):
    content = clip_files.encode(tmp_path / "in.mkv", clip_files.moving(60)).read_bytes()
    (tmp_path / "in.mkv").write_bytes(content.replace(b"00:00:02.002", b"00:00:12.002"))
    assert "complete, but shorter than it says" in Video.read(tmp_path / "in.mkv").note
