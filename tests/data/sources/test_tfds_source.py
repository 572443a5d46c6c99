"""Shards as a source: found, opened, refused, and a stored record as a clip."""

import json
import os

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


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("fps", float("nan"), "stored fps nan"),
        ("fps", 0.0, "stored fps 0"),
        ("fps", "x", "stored fps is no number"),
        ("shape", np.array([2, 0, 8]), "stored shape"),
        ("shape", np.array([2, 2**40, 8]), "stored shape"),
        ("shape", np.array([2, 8]), "stored shape"),
        ("start", -1, "stored start -1"),
        ("start", 2**40, "stored start"),
        ("video", None, "no video"),
        ("masks", None, "packed masks"),
    ],
)
def test_odd_fields_of_a_record_are_named(name, value, message):
    clip = stored(np.ones((6, 32, 48), np.uint8))
    clip.fields[name] = value
    with pytest.raises(BadRecord, match=message):
        clip.open()
        clip.read(np.array([0]))


@pytest.mark.parametrize("name", ["id", "origin", "caption"])
def test_names_that_are_no_text_are_bad_records(name):
    clip = stored(np.ones((6, 32, 48), np.uint8))
    clip.fields[name] = b"\xff\xfe"
    with pytest.raises(BadRecord, match=f"stored {name} is no text"):
        getattr(clip, name)


def text_shards(folder):
    """A built data set of one field, as TFDS writes it."""
    features = {
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {
            "features": {"id": {"pythonClassName": "tensorflow_datasets.core.features.text_feature.Text", "text": {}}}
        },
    }
    shards = {
        "name": "train",
        "shardLengths": ["1"],
        "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    }
    info = {"name": "texts", "version": "1.0.0", "fileFormat": "array_record", "splits": [shards]}
    folder.mkdir()
    (folder / "features.json").write_text(json.dumps(features))
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "texts-train.array_record-00000-of-00001").write_bytes(b"no records")
    return folder


def test_a_damaged_file_of_records_makes_every_record_bad(tmp_path):
    records = ShardRecords(text_shards(tmp_path / "shards"))
    assert len(records) == 1
    with pytest.raises(BadRecord, match="record 0 of shards cannot be read"):
        records.fields(0)
    with pytest.raises(IndexError):
        records.fields(1)


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}', "[" * 100_000, '{"splits": 3, "featuresDict": 3}'])
def test_a_damaged_description_of_shards_is_refused_in_one_line(name, text, tmp_path):
    (text_shards(tmp_path / "shards") / name).write_text(text)
    with pytest.raises(UserError) as raised:
        ShardRecords(tmp_path / "shards")
    assert "\n" not in str(raised.value) and "shards" in str(raised.value)


def test_no_module_is_imported_because_a_description_names_it(tmp_path):
    file = text_shards(tmp_path / "shards") / "features.json"
    file.write_text(file.read_text().replace("tensorflow_datasets.core.features.text_feature", "antigravity"))
    with pytest.raises(UserError, match="names classes outside of tensorflow_datasets"):
        ShardRecords(tmp_path / "shards")


def test_a_pipe_among_the_files_is_refused_without_waiting(tmp_path):
    os.mkfifo(text_shards(tmp_path / "shards") / "more")
    with pytest.raises(UserError, match="more is a pipe"):
        ShardRecords(tmp_path / "shards")
