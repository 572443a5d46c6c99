"""Thumbnails: pictures where a file can be read, none where it cannot; masks are tinted."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vp_jax.curate.record import ClipRecord
from vp_jax.curate.thumbnails import Thumbnails, tinted


def picture(address):
    assert address.startswith("data:image/jpeg;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


@pytest.mark.slow
def test_a_clip_is_shown_alone_and_with_masks(done):
    clip, pictures = done.clips[0].clip, Thumbnails(done.root)
    assert picture(pictures.one(clip)).shape == (120, 180, 3) and pictures.one(clip) is pictures.one(clip)
    assert picture(pictures.strip(clip)).shape == (480, 720, 3)


def test_what_cannot_be_read_has_no_picture(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(bytes(99))
    pictures = Thumbnails(tmp_path)
    for video in ("noise.mp4", "gone.mp4", "https://x.org/a.mp4"):
        assert pictures.one(ClipRecord("a", video)) == "" == pictures.strip(ClipRecord("a", video, masks="gone.mkv"))


def test_a_mask_is_tinted_and_the_rest_is_not():
    frame_HWC = np.full((40, 60, 3), 100, np.uint8)
    labels_HW = np.zeros((40, 60), np.uint8)
    labels_HW[10:30, 10:30] = 2
    shown_HWC = tinted(frame_HWC, labels_HW)
    assert (shown_HWC[20, 20] != 100).all() and (shown_HWC[5, 50] == 100).all() and (frame_HWC == 100).all()
