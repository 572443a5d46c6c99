"""Frames come back from the disk as they were, take no memory, and leave no file."""

import errno

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.jobs.spool import FrameSpool

FRAMES = np.random.default_rng(0).integers(0, 256, (7, 4, 6, 3), np.uint8)


def test_frames_come_back_in_any_order_and_no_file_is_seen_or_left(tmp_path):
    with FrameSpool(tmp_path, FRAMES.shape) as spool:
        spool.add(0, FRAMES[:3])
        np.testing.assert_array_equal(spool[2], FRAMES[2])
        spool.add(3, FRAMES[3:])
        assert spool.shape == FRAMES.shape and not list(tmp_path.iterdir())
        np.testing.assert_array_equal(np.stack(list(spool)), FRAMES)
        np.testing.assert_array_equal(np.stack(list(spool[5:2:-1])), FRAMES[5:2:-1])
    assert not list(tmp_path.iterdir())


def test_frames_in_another_memory_order_come_back_as_they_are(tmp_path):
    turned = FRAMES.transpose(0, 2, 1, 3)
    with FrameSpool(tmp_path, turned.shape) as spool:
        spool.add(0, turned)
        np.testing.assert_array_equal(spool[6], turned[6])


def test_a_frame_that_was_changed_or_never_came_is_an_error(tmp_path):
    with FrameSpool(tmp_path, FRAMES.shape) as spool:
        spool.add(0, FRAMES[:2])
        spool._file.seek(5)
        spool._file.write(b"\0\1\2")
        for place in (0, 2):
            with pytest.raises(UserError, match=f"frame {place} of the result is not what was written, start again"):
                spool[place]
        np.testing.assert_array_equal(spool[1], FRAMES[1])


def test_a_full_disk_is_one_line_that_says_how_much_is_needed(tmp_path):
    class Full:
        def seek(self, *_):
            return 0

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    with FrameSpool(tmp_path, (10**9, 4, 6, 3)) as spool:
        spool._file.close()
        spool._file = Full()
        with pytest.raises(UserError, match=r"\(No space left on device\), it needs 72\.0 GB for the frames"):
            spool.add(0, FRAMES)


def test_a_folder_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(UserError, match="gone: cannot be written"):
        FrameSpool(tmp_path / "gone", FRAMES.shape)
