"""A clip of two files: what its headers must agree on, and what is read."""

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.data.records import BadRecord
from vp_jax.data.sources.file_clip import FileClip
from vp_jax.data.sources.scan import Unusable

CLIP = clip_files.moving(9, 32, 48)
HOLES = np.zeros((9, 32, 48), bool)
HOLES[3:, 8:20, 10:30] = True


@pytest.fixture
def clip(tmp_path):
    video = clip_files.folder(tmp_path / "clip", CLIP)
    mask = clip_files.folder(tmp_path / "clip_mask", HOLES.astype(np.uint8) * 255)
    return FileClip(video, mask, "a caption", fps=12)


def test_pictures_have_the_rate_they_are_given(clip):
    info = clip.open()
    assert (info.frames, info.fps) == (9, 12) and (clip.id, clip.origin) == ("clip", f"{clip.video.parent.name}/clip")


def test_a_range_counts_from_its_start(clip):
    part = FileClip(clip.video, clip.mask, "", start=3, stop=100, source="t.csv:2")
    assert part.open().frames == 6
    frames_FHWC, masks_FHW = part.read(np.array([0, 5]))
    np.testing.assert_array_equal(frames_FHWC, CLIP[[3, 8]])
    np.testing.assert_array_equal(masks_FHW, HOLES[[3, 8]])
    assert masks_FHW.dtype == np.uint8


def test_windows_without_a_hole_are_bad_records(clip):
    with pytest.raises(BadRecord, match="empty in frames 0 to 2"):
        clip.read(np.arange(3))


def test_a_check_passes_what_holds_a_window(clip):
    assert clip.check(frames=9, fps=12) == "" and clip.check(frames=3, fps=4) == ""
    with pytest.raises(Unusable, match="9 frames at 12 fps leave 3 of the 4 needed") as caught:
        clip.check(frames=4, fps=4)
    assert caught.value.kind == "too short"


def test_a_check_remarks_on_transparency(clip, tmp_path):
    painted = np.zeros((*HOLES.shape[1:], 4), np.uint8)
    painted[4:9, 4:9, 3] = 255
    Image.fromarray(painted).save(tmp_path / "painted.png")
    assert "transparency marks the hole" in FileClip(clip.video, tmp_path / "painted.png", "").check()


@pytest.mark.parametrize(
    "change, kind",
    [("video", "video not readable"), ("mask", "mask not recognised"), ("size", "mask of another size"),
     ("length", "mask of another length"), ("empty", "mask not recognised"), ("start", "too short")],
)  # fmt: skip
def test_faults_have_the_words_of_the_summary(clip, tmp_path, change, kind):
    faulty = {
        "video": lambda: FileClip(tmp_path / "none.mp4", clip.mask, ""),
        "mask": lambda: FileClip(clip.video, tmp_path / "none.png", ""),
        "size": lambda: FileClip(clip.video, clip_files.folder(tmp_path / "m", HOLES[:, 1:]), ""),
        "length": lambda: FileClip(clip.video, clip_files.folder(tmp_path / "m", HOLES[1:]), ""),
        "empty": lambda: FileClip(clip.video, clip_files.folder(tmp_path / "m", HOLES & False), ""),
        "start": lambda: FileClip(clip.video, clip.mask, "", start=9),
    }[change]()
    with pytest.raises(Unusable) as caught:
        faulty.check()
    assert caught.value.kind == kind and "\n" not in str(caught.value)


def test_a_video_without_a_rate_is_unusable(clip, monkeypatch):
    import dataclasses

    from vp_jax.data.sources import file_clip

    plain = file_clip.probe
    monkeypatch.setattr(file_clip, "probe", lambda path: dataclasses.replace(plain(path), fps=0))
    with pytest.raises(Unusable, match="does not state its frame rate"):
        clip.open()
