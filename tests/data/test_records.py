"""Packed masks come back; damaged ones are bad records."""

import tracemalloc
import zlib

import numpy as np
import pytest

from vp_jax.data.records import BadRecord, load_record, pack_masks, unpack_masks


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 9), (3, 16, 16)])
def test_masks_survive_packing(shape):
    masks_FHW = (np.random.default_rng(0).random(shape) < 0.5).astype(np.uint8)
    indices_F = np.arange(0, shape[0], 2)
    np.testing.assert_array_equal(unpack_masks(pack_masks(masks_FHW), shape, indices_F), masks_FHW[indices_F])


@pytest.mark.parametrize("packed", [b"nonsense", pack_masks(np.ones((2, 8, 8), np.uint8))])
def test_damaged_masks_are_bad_records(packed):
    with pytest.raises(BadRecord, match="packed masks"):
        unpack_masks(packed, (3, 8, 8), np.arange(1))


def test_what_packed_masks_unpack_to_is_limited_before_it_is_unpacked():
    bomb = zlib.compress(b"\0" * 50_000_000)
    tracemalloc.start()
    with pytest.raises(BadRecord, match="does not fit"):
        unpack_masks(bomb, (3, 8, 8), np.arange(1))
    with pytest.raises(BadRecord, match="cannot hold"):
        unpack_masks(bomb[:20], (2**30, 2**30, 8), np.arange(1))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("indices, message", [([0, 2], "frame 2 of 2"), ([-1], "of 2 stored")])
def test_frames_that_are_not_stored_are_bad_records(indices, message):
    with pytest.raises(BadRecord, match=message):
        unpack_masks(pack_masks(np.ones((2, 8, 8), np.uint8)), (2, 8, 8), np.array(indices))
    with pytest.raises(BadRecord, match="missing"):
        unpack_masks(None, (2, 8, 8), np.arange(1))


def test_load_reads_a_whole_clip_at_a_stride(source):
    record = load_record(source[0], stride=3)
    assert record.frames_FHWC.shape == (10, 48, 64, 3) and record.masks_FHW.shape == (10, 48, 64)
    assert record.fps == 8 and record.id == source[0].id and "train.csv" in record.origin
