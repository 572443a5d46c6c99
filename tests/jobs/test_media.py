"""A job's files are checked before a model is loaded, and described by digests of what the model reads of them."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.jobs.small_job import small_job
from vp_jax.errors import UserError
from vp_jax.inference.request import ORIGINAL
from vp_jax.jobs.media import read_media
from vp_jax.media.frames import Streamed


def masks(folder, holes_FHW):
    return clip_files.folder(folder, np.repeat(holes_FHW[..., None].astype(np.uint8) * 255, 3, axis=3))


@pytest.fixture
def moving_mask(tmp_path):
    holes_FHW = np.zeros((13, 32, 32), bool)
    for number in range(13):
        holes_FHW[number, 4:12, number : number + 8] = True
    return masks(tmp_path / "masks", holes_FHW), holes_FHW


def test_frames_and_holes_are_read_when_asked_for_and_reported_with_their_share(tmp_path, moving_mask):
    path, holes_FHW = moving_mask
    media = read_media(small_job(tmp_path, mask=path))
    assert isinstance(media.video.frames_FHWC, Streamed) and isinstance(media.holes_FHW, Streamed)
    np.testing.assert_array_equal(np.stack(list(media.holes_FHW)), holes_FHW)
    np.testing.assert_array_equal(np.stack(list(media.video.frames_FHWC)), clip_files.moving(13, 32, 32))
    event = media.event()
    assert (event.frames, event.size, event.hole_frames) == (13, (32, 32), 13)
    assert event.hole_share == holes_FHW.mean()


def test_the_first_frame_of_the_original_has_no_hole(tmp_path, moving_mask):
    path, holes_FHW = moving_mask
    media = read_media(small_job(tmp_path, mask=path, first_frame=ORIGINAL))
    assert not media.holes_FHW[0].any() and media.event().hole_frames == 12
    np.testing.assert_array_equal(media.holes_FHW[1], holes_FHW[1])


@pytest.mark.parametrize(
    "holes, changes, message",
    [
        (np.zeros((13, 32, 32), bool), {}, "the mask is empty in every frame, there is nothing to generate"),
        (np.ones((13, 32, 32), bool), {}, "the mask covers every frame completely, there is nothing to keep"),
        (np.ones((13, 32, 32), bool), {"first_frame": ORIGINAL}, "the mask covers every frame completely"),
        (np.arange(13)[:, None, None] * np.ones((1, 32, 32)) < 0.5, {"first_frame": ORIGINAL}, "only frame 0 has a"),
        (np.ones((9, 32, 32), bool), {}, "the mask has 9 frames, the video 13"),
    ],
)
def test_masks_that_leave_nothing_to_do_are_refused(tmp_path, holes, changes, message):
    with pytest.raises(UserError, match=message):
        read_media(small_job(tmp_path, mask=masks(tmp_path / "masks", holes), **changes))


def test_digests_change_with_what_the_model_reads_and_with_nothing_else(tmp_path, moving_mask):
    path, holes_FHW = moving_mask
    job = small_job(tmp_path, mask=path)
    before = read_media(job).digests
    assert read_media(dataclasses.replace(job, out=tmp_path / "other.mkv")).digests == before
    assert read_media(dataclasses.replace(job, mask_dilate=1)).digests["mask"] != before["mask"]
    assert read_media(dataclasses.replace(job, mask_dilate=1)).digests["video"] == before["video"]
    assert read_media(dataclasses.replace(job, first_frame=ORIGINAL)).digests["mask"] != before["mask"]
    Image.fromarray(np.full((32, 32, 3), 9, np.uint8)).save(tmp_path / "first.png")
    assert (
        read_media(dataclasses.replace(job, first_frame=str(tmp_path / "first.png"))).digests["video"]
        != (before["video"])
    )
    frame = sorted((tmp_path / "video").iterdir())[4]
    Image.fromarray(255 - np.asarray(Image.open(frame))).save(frame)
    assert read_media(job).digests["video"] != before["video"] and read_media(job).digests["mask"] == before["mask"]


def test_a_source_that_changes_after_it_was_opened_is_refused(tmp_path, moving_mask):
    media = read_media(small_job(tmp_path, mask=moving_mask[0]))
    for frames, folder in ((media.video.frames_FHWC, tmp_path / "video"), (media.holes_FHW, moving_mask[0])):
        file = sorted(folder.iterdir())[-1]
        Image.fromarray(np.full((32, 32, 3), 255, np.uint8)).save(file)
        with pytest.raises(UserError, match="changed while it was used, start again"):
            frames[0]
