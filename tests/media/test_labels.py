"""Label maps: read frame by frame in every type and order, to their checksum."""

import numpy as np
import pytest

from tests.data.make_vpdata_layout import draw_clip
from vp_jax.errors import UserError
from vp_jax.media.labels import LabelMap, is_label_map


@pytest.mark.parametrize("dtype", ["uint8", "int64", ">u2", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_label_maps_are_read_frame_by_frame(tmp_path, dtype, order):
    labels_FHW = np.asarray(draw_clip(9, 24, 32)[1] % 2, dtype, order=order)
    np.savez_compressed(tmp_path / "all_masks.npz", labels_FHW)
    labels, indices_F = LabelMap(tmp_path / "all_masks.npz"), np.array([0, 4, 5, 8])
    got_FHW = labels.where(indices_F, lambda labels_HW: labels_HW == 1)
    assert labels.shape == (9, 24, 32) and got_FHW.dtype == bool
    np.testing.assert_array_equal(got_FHW, labels_FHW[indices_F] == 1)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool", "int32", ">u2"])
def test_the_labels_that_occur_are_found(tmp_path, dtype):
    labels_FHW = np.zeros((3, 8, 9), dtype)
    labels_FHW[1, 2:4] = 1
    if dtype != "bool":
        labels_FHW[2, 5] = -3 if dtype in ("int8", "int32") else 7
    np.savez(tmp_path / "m.npz", labels_FHW)
    assert LabelMap(tmp_path / "m.npz").present() == np.unique(labels_FHW).astype(int).tolist()


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path):
    file = tmp_path / "m.npz"
    labels_FHW = np.random.default_rng(0).integers(0, 3, (20, 16, 16), dtype=np.uint8)
    np.savez_compressed(file, labels_FHW)
    content, rng = file.read_bytes(), np.random.default_rng(1)
    for _ in range(30):
        damaged = bytearray(content)
        damaged[int(rng.integers(60, len(content) - 130))] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        with pytest.raises(UserError):
            LabelMap(file).where([0, 2], lambda labels_HW: labels_HW == 1)  # the damage may lie behind frame 2


def test_frames_past_the_end_are_named(tmp_path):
    np.savez(tmp_path / "m.npz", np.ones((3, 8, 9), np.uint8))
    with pytest.raises(UserError, match="has 3 masks, frame 3 was requested"):
        LabelMap(tmp_path / "m.npz").where([1, 3], lambda labels_HW: labels_HW == 1)


@pytest.mark.parametrize("name", ["m.npz", "m.npy", "anything"])
def test_label_maps_are_known_by_their_content(tmp_path, name):
    file = tmp_path / name
    with file.open("wb") as stream:
        (np.save if name == "m.npy" else np.savez)(stream, np.ones((3, 8, 9), np.uint8))
    assert is_label_map(file) and LabelMap(file).shape == (3, 8, 9)
    file.write_bytes(b"GIF89a")
    assert not is_label_map(file) and not is_label_map(tmp_path)
