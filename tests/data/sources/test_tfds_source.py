"""Shards as a source: found, opened, refused, and a stored record as a clip."""

import numpy as np
import pytest

from tests import clip_files
from vp_jax.data.records import BadRecord, pack_masks
from vp_jax.data.sources.tfds_source import ShardRecords, StoredClip, builder_folder
from vp_jax.errors import UserError
from vp_jax.media.video_writer import encode_mp4

FRAMES = clip_files.moving(12, 32, 48)


def stored(masks_FHW, start=0, video=None):
    fields = {"id": b"a", "origin": "vidéo".encode(), "caption": "a ☃".encode(), "fps": np.float32(8)}
    fields |= {"shape": np.array(masks_FHW.shape), "masks": pack_masks(masks_FHW), "start": np.int64(start)}
    return StoredClip({**fields, "video": encode_mp4(FRAMES, 8, crf=0) if video is None else video})


def test_a_stored_record_is_the_clip_that_was_stored():
    masks_FHW = np.zeros((6, 32, 48), np.uint8)
    masks_FHW[2:, 4:9, 5:30] = 1
    clip = stored(masks_FHW, start=3)
    assert (clip.id, clip.origin, clip.caption) == ("a", "vidéo", "a ☃")
    assert clip.open().frames == 6 and clip.open().fps == 8
    frames_FHWC, read_FHW = clip.read(np.array([1, 4]))
    np.testing.assert_array_equal(read_FHW, masks_FHW[[1, 4]])
    near = [np.abs(FRAMES.astype(int) - frame_HWC).mean((1, 2, 3)).argmin() for frame_HWC in frames_FHWC]
    assert near == [3 + 1, 3 + 4], "frames count from the stored start"


def test_what_a_record_cannot_give_is_named():
    empty_FHW = np.zeros((6, 32, 48), np.uint8)
    with pytest.raises(BadRecord, match="the mask is empty in frames 0 to 3"):
        stored(empty_FHW).read(np.array([0, 3]))
    with pytest.raises(BadRecord):
        stored(empty_FHW + 1, video=b"no video").read(np.array([0]))


@pytest.mark.parametrize("folders, found", [((), "none"), (("a", "b"), "a.*b")])
def test_there_is_exactly_one_data_set(tmp_path, folders, found):
    for name in folders:
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset_info.json").write_text("{}")
    with pytest.raises(UserError, match=f"must hold one built data set .*found .*{found}"):
        builder_folder(tmp_path)


def test_the_data_set_may_lie_below_the_folder(tmp_path):
    (tmp_path / "vpdata" / "1.0.0").mkdir(parents=True)
    (tmp_path / "vpdata" / "1.0.0" / "dataset_info.json").write_text("{}")
    assert builder_folder(tmp_path) == tmp_path / "vpdata" / "1.0.0"
    with pytest.raises(UserError, match="found none"):
        ShardRecords(tmp_path / "nowhere")
