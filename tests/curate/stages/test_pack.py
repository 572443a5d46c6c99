"""Packing: the three forms of masks hold the same, without things that were filtered out."""

import numpy as np

from vp_jax.curate.labels_video import read_labels, write_labels
from vp_jax.curate.record import ClipRecord, StagePlace
from vp_jax.curate.stages.pack import PackMasks
from vp_jax.media.labels import LabelMap


def test_all_forms_hold_the_same_masks(tmp_path):
    labels_FHW = np.random.default_rng(0).integers(0, 4, (5, 16, 24), np.uint8)
    write_labels(tmp_path / "masks.mkv", labels_FHW, 8)
    clip = ClipRecord("a", "a", frames=5, height=16, width=24, fps="8", masks="masks.mkv", things={"1": {}, "3": {}})
    folder = tmp_path / "packed"
    folder.mkdir()
    (found,) = PackMasks().process(clip, StagePlace(tmp_path, folder, "packed"))
    expected_FHW = np.where(labels_FHW == 2, 0, labels_FHW)
    assert found.masks == "packed/labels.mkv"
    with np.load(folder / "all_masks.npz") as file:
        assert file.files == ["arr_0"] and np.array_equal(file["arr_0"], expected_FHW)
    assert LabelMap(folder / "all_masks.npz").present() == [0, 1, 3]
    assert np.array_equal(np.stack(list(read_labels(folder / "labels.mkv"))), expected_FHW)
    assert np.array_equal(np.stack(list(read_labels(folder / "thing_3.mkv"))), (expected_FHW == 3) * np.uint8(255))
    assert not (folder / "thing_2.mkv").exists()


def test_without_npz_only_videos_are_written(tmp_path):
    write_labels(tmp_path / "masks.mkv", np.ones((2, 16, 24), np.uint8), 8)
    clip = ClipRecord("a", "a", frames=2, height=16, width=24, fps="8", masks="masks.mkv", things={"1": {}})
    PackMasks(npz=False).process(clip, StagePlace(tmp_path, tmp_path, ""))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["labels.mkv", "masks.mkv", "thing_1.mkv"]
