"""Folders of videos with masks and DAVIS become the same clips as VPData's."""

import numpy as np
import pytest
from PIL import Image

from tests.data.make_vpdata_layout import convert, draw_clip
from vp_jax.data.records import BadRecord, load
from vp_jax.data.sources.folders import davis, video_folder
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.errors import UserError
from vp_jax.media.video_writer import encode_mp4


def save_images(folder, images_F, suffix=".png"):
    folder.mkdir(parents=True)
    for number, image in enumerate(images_F):
        Image.fromarray(image).save(folder / f"{number:05d}{suffix}")


@pytest.fixture
def drawn():
    frames_FHWC, labels_FHW = draw_clip(9, 48, 64)
    return frames_FHWC, (labels_FHW == 1).astype(np.uint8)


@pytest.mark.parametrize("kind", ["mp4", "npz", "png", "folder"])
def test_every_kind_of_mask_gives_the_same_record(tmp_path, drawn, kind):
    frames_FHWC, masks_FHW = drawn
    if kind == "png":
        masks_FHW = np.broadcast_to(masks_FHW[0], masks_FHW.shape)
    save_images(tmp_path / "clip", frames_FHWC)
    (tmp_path / "clip.txt").write_text("a caption\n")
    if kind == "mp4":
        (tmp_path / "clip_mask.mp4").write_bytes(encode_mp4(np.repeat(masks_FHW[..., None] * np.uint8(255), 3, -1), 8))
    elif kind == "npz":
        np.savez_compressed(tmp_path / "clip_mask.npz", masks_FHW * 5)
    elif kind == "png":
        Image.fromarray(masks_FHW[0] * np.uint8(255)).save(tmp_path / "clip_mask.png")
    else:
        save_images(tmp_path / "clip_mask", masks_FHW * np.uint8(255))
    (clip,) = video_folder(tmp_path)
    record = load(clip)
    np.testing.assert_array_equal(record.frames_FHWC, frames_FHWC)
    np.testing.assert_array_equal(record.masks_FHW, masks_FHW)
    assert (record.caption, record.fps, record.id) == ("a caption", 8, "clip")


def test_images_are_frames_in_the_order_of_their_numbers(tmp_path, drawn):
    frames_FHWC, masks_FHW = (np.concatenate([part, part[:2]]) for part in drawn)
    for name, images in (("clip", frames_FHWC), ("clip_mask", masks_FHW * np.uint8(255))):
        save_images(tmp_path / name, images)
        for number in range(len(images)):
            (tmp_path / name / f"{number:05d}.png").rename(tmp_path / name / f"{number}.png")
    record = load(video_folder(tmp_path)[0])
    np.testing.assert_array_equal(record.frames_FHWC, frames_FHWC)
    np.testing.assert_array_equal(record.masks_FHW, masks_FHW)


def test_davis_layout(tmp_path, drawn):
    frames_FHWC, masks_FHW = drawn
    for name in ("bear", "ant"):
        save_images(tmp_path / "JPEGImages_432_240" / name, frames_FHWC, ".jpg")
        folder = tmp_path / "test_masks" / name
        folder.mkdir(parents=True)
        for number, mask_HW in enumerate(masks_FHW):
            image = Image.fromarray(mask_HW * np.uint8(2 if name == "ant" else 255))
            if name == "ant":  # a palette image: 2 is a label, shown in green
                image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
            image.save(folder / f"{number:05d}.png")
    table = "Video_Index,Video_Caption,Masked_Target_Caption\n2,the bear,b\n1,the ant,a\n"
    (tmp_path / "davis_caption.csv").write_text(table)
    clips = davis(tmp_path)
    assert [(clip.id, clip.caption) for clip in clips] == [("ant", "the ant"), ("bear", "the bear")]
    for clip in clips:
        np.testing.assert_array_equal(load(clip).masks_FHW, masks_FHW)


@pytest.mark.parametrize("damage", ["short", "size", "empty", "broken"])
def test_bad_masks_are_bad_records(tmp_path, drawn, damage):
    frames_FHWC, masks_FHW = drawn
    save_images(tmp_path / "clip", frames_FHWC)
    shown = {"short": masks_FHW[:5], "size": masks_FHW[:, :20], "empty": 0 * masks_FHW, "broken": masks_FHW}[damage]
    save_images(tmp_path / "clip_mask", shown * np.uint8(255))
    if damage == "broken":
        (tmp_path / "clip_mask" / "00003.png").write_bytes(b"no picture")
    message = {"short": "5 masks", "size": "masks are 64x20", "empty": "is empty", "broken": "00003.png"}[damage]
    with pytest.raises(BadRecord, match=message):
        load(video_folder(tmp_path)[0])


def test_folders_without_clips_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="no video with a mask"):
        video_folder(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        video_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="test_masks"):
        davis(tmp_path)


def test_a_folder_becomes_the_official_layout(tmp_path, drawn):
    """The script of this folder: images keep their masks, videos get two labelled discs and two rows."""
    frames_FHWC, masks_FHW = drawn
    clips = tmp_path / "clips"
    save_images(clips / "bike", frames_FHWC)
    save_images(clips / "bike_mask", masks_FHW * np.uint8(255))
    (clips / "dog.mp4").write_bytes(encode_mp4(frames_FHWC, 24))
    data = VPData.from_csv(convert(clips, tmp_path / "out"), Layout.under(tmp_path / "out"), frames=1)
    assert [row.mask_id for row in data.rows] == [1, 1, 2]
    np.testing.assert_array_equal(load(data[0]).masks_FHW, masks_FHW)
    assert load(data[1]).fps == 24 and load(data[2]).masks_FHW.any()
