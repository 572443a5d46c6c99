"""A job's files are checked before a model is loaded, and described by digests of what the model reads of them."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.jobs.small_job import finish, small_job
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.request import ORIGINAL
from vp_jax.jobs.media import read_media
from vp_jax.media.extend import Border
from vp_jax.media.frames import Streamed
from vp_jax.media.masks import dilate


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


def test_a_border_is_a_part_of_frames_holes_and_digests(tmp_path, moving_mask):
    path, holes_FHW = moving_mask
    job = small_job(tmp_path, mask=path)
    before, media = read_media(job).digests, read_media(dataclasses.replace(job, extend="left=6,bottom=2"))
    border = Border(left=6, bottom=2)
    assert media.video.border == border and isinstance(media.video.frames_FHWC, Streamed)
    np.testing.assert_array_equal(np.stack(list(media.video.frames_FHWC)), border.frames(clip_files.moving(13, 32, 32)))
    np.testing.assert_array_equal(np.stack(list(media.holes_FHW)), border.holes(holes_FHW))
    assert media.event().size == (34, 38) and media.event().hole_share == pytest.approx(border.holes(holes_FHW).mean())
    assert media.digests["video"] != before["video"] and media.digests["mask"] != before["mask"]
    moved = read_media(dataclasses.replace(job, extend="right=6,bottom=2"))
    assert moved.digests["video"] != media.digests["video"] and moved.digests["mask"] != media.digests["mask"]


def test_a_picture_that_is_only_extended_needs_no_mask_and_an_empty_mask_is_refused(tmp_path):
    media = read_media(small_job(tmp_path, mask=None, extend="top=4"))
    assert media.holes_FHW.shape == (13, 36, 32) and media.note == ""
    assert all(hole_HW[:4].all() and not hole_HW[4:].any() for hole_HW in media.holes_FHW)
    empty = masks(tmp_path / "masks", np.zeros((13, 32, 32), bool))
    with pytest.raises(UserError, match="the mask is empty in every frame"):
        read_media(small_job(tmp_path, mask=empty, extend="top=4"))


def test_a_removal_grows_its_hole(tmp_path):
    holes_FHW = np.zeros((5, 64, 96), bool)
    holes_FHW[:, 20:40, 30:50] = True
    given = {"video": clip_files.folder(tmp_path / "film", clip_files.moving(5, 64, 96))}
    job = small_job(tmp_path, **given, mask=masks(tmp_path / "masks", holes_FHW))
    for changes, growth in (({}, 0), ({"task": "remove"}, 1), ({"task": "remove", "mask_dilate": 5}, 5)):
        media = read_media(dataclasses.replace(job, **changes))
        np.testing.assert_array_equal(np.stack(list(media.holes_FHW)), dilate(holes_FHW, growth))
        assert (media.digests["mask"] == read_media(job).digests["mask"]) == (growth == 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"fit": "crop", "feather": 2},
        {"fit": "letterbox", "extend": "left=8,bottom=4"},
        {"extend": "16:9", "mask": None},
    ],
)
def test_a_job_makes_of_files_what_the_pipeline_makes_of_arrays(tmp_path, changes):
    frames_FHWC, holes_FHW = clip_files.moving(13, 48, 40), np.zeros((13, 48, 40), bool)
    for number in range(13):
        holes_FHW[number, 10 + number : 18 + number, 2 * number : 2 * number + 9] = True
    files = {
        "video": clip_files.folder(tmp_path / "film", frames_FHWC),
        "mask": masks(tmp_path / "masks", holes_FHW),
    }
    job = small_job(tmp_path, **{**files, **changes})
    made_FHWC, _ = finish(job)
    pipeline = Pipeline.load(job.checkpoint, precision="float32")
    options = {name: value for name, value in changes.items() if name != "mask"}
    mask = None if job.mask is None else holes_FHW
    want = pipeline(frames_FHWC, mask, Prompt.read(job.prompt_embeds), steps=2, guidance=3.0, **options)
    np.testing.assert_array_equal(made_FHWC, want.frames_FHWC)


def test_a_source_that_changes_after_it_was_opened_is_refused(tmp_path, moving_mask):
    media = read_media(small_job(tmp_path, mask=moving_mask[0]))
    file = sorted((tmp_path / "video").iterdir())[-1]
    Image.fromarray(np.full((32, 32, 3), 255, np.uint8)).save(file)
    with pytest.raises(UserError, match="changed while it was used, start again"):
        media.video.frames_FHWC[0]


def test_a_mask_is_read_once_and_what_happens_to_its_file_later_does_not_matter(tmp_path, moving_mask):
    path, holes_FHW = moving_mask
    media = read_media(small_job(tmp_path, mask=path))
    for file in path.iterdir():
        file.unlink()
    for _ in range(2):
        np.testing.assert_array_equal(np.stack(list(media.holes_FHW)), holes_FHW)
