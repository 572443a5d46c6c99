"""Folders of videos with masks and DAVIS become the same clips as VPData's."""

import os

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.data.make_vpdata_layout import convert, draw_clip
from tests.test_configs import config_of
from tests.training.stages.toy import ToyStage, toy_models
from vp_jax.data.journal import Journal, read_journal
from vp_jax.data.pipeline import LoaderConfig, make_loader
from vp_jax.data.records import BadRecord, load_record
from vp_jax.data.sources.file_clip import FileClip
from vp_jax.data.sources.folders import davis, video_folder
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.errors import UserError
from vp_jax.media.video_writer import encode_mp4, write_video
from vp_jax.runs.input_pipeline import DataConfig, announce, open_source
from vp_jax.runs.train import train
from vp_jax.scalars import read_metrics
from vp_jax.training.stages import registry


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
    record = load_record(clip)
    assert video_folder(tmp_path).report.summary == "1 video: 1 used"
    np.testing.assert_array_equal(record.frames_FHWC, frames_FHWC)
    np.testing.assert_array_equal(record.masks_FHW, masks_FHW)
    assert (record.caption, record.fps, record.id) == ("a caption", 8, "clip")


def test_images_are_frames_in_the_order_of_their_numbers(tmp_path, drawn):
    frames_FHWC, masks_FHW = (np.concatenate([part, part[:2]]) for part in drawn)
    for name, images in (("clip", frames_FHWC), ("clip_mask", masks_FHW * np.uint8(255))):
        save_images(tmp_path / name, images)
        for number in range(len(images)):
            (tmp_path / name / f"{number:05d}.png").rename(tmp_path / name / f"{number}.png")
    (tmp_path / "clip.txt").write_text("")
    record = load_record(video_folder(tmp_path)[0])
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
        np.testing.assert_array_equal(load_record(clip).masks_FHW, masks_FHW)


@pytest.mark.parametrize("damage", ["short", "size", "empty", "broken"])
def test_bad_masks_are_bad_records(tmp_path, drawn, damage):
    frames_FHWC, masks_FHW = drawn
    save_images(tmp_path / "clip", frames_FHWC)
    shown = {"short": masks_FHW[:5], "size": masks_FHW[:, :20], "empty": 0 * masks_FHW, "broken": masks_FHW}[damage]
    save_images(tmp_path / "clip_mask", shown * np.uint8(255))
    if damage == "broken":
        (tmp_path / "clip_mask" / "00003.png").write_bytes(b"no picture")
    clip = FileClip(tmp_path / "clip", tmp_path / "clip_mask", "")
    message = {"short": "5 frames", "size": "mask is 64x20", "empty": "is empty", "broken": "00003.png"}[damage]
    with pytest.raises(BadRecord, match=message):
        load_record(clip)


def test_folders_without_clips_are_user_errors(tmp_path):
    with pytest.raises(UserError, match="no clip can be used, 0 videos: 0 used: it has no video"):
        video_folder(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        video_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="test_masks"):
        davis(tmp_path)


def faulty_clips(folder, frames_FHWC, masks_FHW):
    """Thirteen videos: three good, ten with a fault of every kind, and five files that belong to none of them.

    Of the good ones, one has an upper-case suffix, and one is stored lying on its side, as a phone does.
    """
    grey_FHW, still = masks_FHW * np.uint8(255), Image.fromarray(masks_FHW[0] * np.uint8(255))
    names = [f"{letter}{number}" for number, letter in enumerate("abcdefghijkl")]
    for name in names:
        (folder / f"{name}.mp4").write_bytes(encode_mp4(frames_FHWC, 8))
        (folder / f"{name}.txt").write_text(f"a clip called {name}", encoding="utf-8-sig")
        still.save(folder / f"{name}_mask.png")
    plain = {name[0]: folder / f"{name}_mask.png" for name in names}
    plain["b"].rename(folder / "b1_mask.PNG")
    plain["c"].unlink()
    clip_files.folder(folder / "c2_mask", grey_FHW)
    plain["d"].unlink()  # without mask
    (folder / "e4.txt").unlink()  # without caption
    (folder / "f5.txt").write_bytes("Fl\xe4che".encode("latin-1"))
    plain["g"].unlink()
    (folder / "g6_mask.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    Image.fromarray(masks_FHW[0] * np.uint8(30)).save(plain["h"])
    Image.new("L", (32, 32), 255).save(plain["i"])
    plain["j"].unlink()
    clip_files.folder(folder / "j9_mask", grey_FHW[:5])
    (folder / "k10.mp4").write_bytes((folder / "a0.mp4").read_bytes()[:400])
    (folder / "l11.mp4").write_bytes(encode_mp4(frames_FHWC[:4], 8))
    lying_FHWC = np.rot90(frames_FHWC, axes=(1, 2))
    (folder / "c2.mp4").write_bytes(encode_mp4(np.ascontiguousarray(lying_FHWC), 8))
    clip_files.rotate_header(folder / "c2.mp4").rename(folder / "c2.MOV")
    os.mkfifo(folder / "m12.mp4")
    (folder / "m12.txt").write_text("a pipe")
    still.save(folder / "m12_mask.png")
    os.mkfifo(folder / "pipe")
    (folder / "empty").mkdir()
    (folder / "notes.md").write_text("about these clips")
    (folder / "gone.txt").write_text("its video was deleted")
    still.save(folder / "gone_mask.png")


NAMED = {
    "d3.mp4": "no mask, expected d3_mask.png",
    "e4.mp4": "no caption, expected e4.txt",
    "f5.mp4": "f5.txt: not UTF-8",
    "g6.mp4": "g6_mask.mat: cannot be read as a video or an image",
    "h7.mp4": "h7_mask.png: brightest value is 30",
    "i8.mp4": "the mask is 32x32, the video 64x48",
    "j9.mp4": "the mask has 5 frames, the video 9",
    "k10.mp4": "k10.mp4: cannot be read as a video",
    "l11.mp4": "4 frames at 8 fps leave 4 of the 9 needed",
    "m12.mp4": "m12.mp4 is a pipe",
    "empty": "not a video, mask or caption",
    "pipe": "not a video, mask or caption",
    "gone.txt": "a caption without a video",
    "gone_mask.png": "a mask without a video",
    "notes.md": "not a video, mask or caption",
}


@pytest.mark.slow
def test_a_folder_with_every_fault_names_each_and_trains_on_the_rest(tmp_path, drawn):
    folder, journal = tmp_path / "clips", tmp_path / "run" / "data.jsonl"
    folder.mkdir()
    faulty_clips(folder, *drawn)
    loader_cfg = LoaderConfig(batch_size=2, frames=9, height=32, width=48, threads=0, journal=journal)
    source = open_source(DataConfig("folder", str(folder)), loader_cfg)
    assert source.report.summary == (
        "13 videos: 3 used, 1 without mask, 1 without caption, 1 caption not readable, 2 masks not recognised, "
        "1 mask of another size, 1 mask of another length, 2 videos not readable, 1 too short; 5 other files"
    )
    Journal(journal).scanned(source.report)
    named = read_journal(journal)
    assert set(named) == set(NAMED)
    for name, reason in NAMED.items():
        assert reason in named[name], named[name]
    assert list(read_journal(journal, "summary").values()) == [source.report.summary]
    lines = journal.read_text()
    Journal(journal).scanned(source.report)  # the run starts again
    assert journal.read_text() == lines
    loader, seen = make_loader(source, loader_cfg), set()
    for _ in range(60):  # more draws than end a run that meets too many bad records
        seen |= set(next(loader)["id"])
    assert seen == {"a0.mp4", "b1.mp4", "c2.MOV"}
    sizes = [load_record(clip).frames_FHWC.shape for clip in source]
    assert sizes == [drawn[0].shape] * 3, "the lying clip stands"
    assert journal.read_text() == lines


def test_a_run_prints_the_summary_once(tmp_path, drawn, capsys):
    folder = tmp_path / "clips"
    folder.mkdir()
    faulty_clips(folder, *drawn)
    journal = tmp_path / "data.jsonl"
    loader_cfg = LoaderConfig(batch_size=2, frames=9, height=32, width=48, threads=0, journal=journal)
    announce(open_source(DataConfig("folder", str(folder)), loader_cfg), journal)
    assert capsys.readouterr().out.startswith("data     13 videos: 3 used, 1 without mask")


@pytest.mark.slow
def test_training_runs_on_what_is_good(tmp_path, drawn, capsys, monkeypatch, one_device):
    folder, run = tmp_path / "clips", tmp_path / "run"
    folder.mkdir()
    faulty_clips(folder, *drawn)
    monkeypatch.setitem(registry.STAGES, "toy", toy_models)
    monkeypatch.setattr(ToyStage, "needs_masks", True)
    config = config_of("tiny")
    config.model.stage, config.steps, config.validation.every = "toy", 2, 0
    config.data.update(kind="folder", path=str(folder))
    config.loader.update(height=16, width=16, batch_size=1, threads=0)
    assert train(config, run) == 0
    assert "13 videos: 3 used" in capsys.readouterr().out and len(read_metrics(run)) == 2
    assert set(read_journal(run / "data.jsonl")) == set(NAMED)


@pytest.mark.parametrize("change", ["two masks", "folder without images", "still image", "empty mask"])
def test_what_else_a_folder_may_hold(tmp_path, drawn, change):
    frames_FHWC, masks_FHW = drawn
    clip_files.folder(tmp_path / "clip", frames_FHWC)
    clip_files.folder(tmp_path / "clip_mask", masks_FHW * np.uint8(255))
    (tmp_path / "clip.txt").write_text("a caption")
    if change == "two masks":
        Image.fromarray(masks_FHW[0]).save(tmp_path / "clip_mask.png")
        with pytest.raises(UserError, match=r"several masks, clip_mask and clip_mask\.png: keep one"):
            video_folder(tmp_path)
        return
    if change == "folder without images":
        (tmp_path / "backup").mkdir()
    elif change == "still image":
        Image.fromarray(frames_FHWC[0]).save(tmp_path / "cover.jpg")
    else:
        Image.new("L", (64, 48)).save(tmp_path / "other_mask.png")
        (tmp_path / "other.mp4").write_bytes(encode_mp4(frames_FHWC, 8))
        (tmp_path / "other.txt").write_text("")
    summary = {
        "folder without images": "1 video: 1 used; 1 other file",
        "still image": "2 videos: 1 used, 1 without mask",
        "empty mask": "2 videos: 1 used, 1 mask not recognised",
    }[change]
    assert video_folder(tmp_path).report.summary == summary


def test_a_folder_becomes_the_official_layout(tmp_path, drawn):
    """The script of this folder: images keep their masks, videos get two labelled discs and two rows."""
    frames_FHWC, masks_FHW = drawn
    clips = tmp_path / "clips"
    save_images(clips / "bike", frames_FHWC)
    save_images(clips / "bike_mask", masks_FHW * np.uint8(255))
    (clips / "dog.mp4").write_bytes(encode_mp4(frames_FHWC, 24))
    data = VPData.from_csv(convert(clips, tmp_path / "out"), Layout.under(tmp_path / "out"), frames=1)
    assert [row.mask_id for row in data.rows] == [1, 1, 2]
    np.testing.assert_array_equal(load_record(data[0]).masks_FHW, masks_FHW)
    assert load_record(data[1]).fps == 24 and load_record(data[2]).masks_FHW.any()


def test_a_stage_without_holes_takes_videos_without_masks(tmp_path, drawn):
    frames_FHWC, masks_FHW = drawn
    for name in ("a", "b", "c"):
        write_video(tmp_path / f"{name}.mp4", frames_FHWC, 8)
    write_video(tmp_path / "a_mask.mp4", np.repeat(masks_FHW[..., None] * np.uint8(255), 3, axis=-1), 8)
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("a clip")
    assert [clip.id for clip in video_folder(tmp_path)] == ["a.mp4"]
    found = video_folder(tmp_path, needs_masks=False)
    assert [clip.id for clip in found] == ["a.mp4", "b.mp4"] and "1 without caption" in found.summary
    pixels_FHWC, holes_FHW = found[1].read(np.arange(3))
    assert pixels_FHWC.shape == (3, *frames_FHWC.shape[1:]) and holes_FHW.shape == pixels_FHWC.shape[:3]
    assert not holes_FHW.any() and found[0].read(np.arange(3))[1].any()
