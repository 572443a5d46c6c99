"""Writing of videos: what is written is read back, sound is copied, the old file is kept until success."""

import os

import av
import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.source_films import Sound, film
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Video
from vp_jax.media import video, video_writer
from vp_jax.media.streams.carried import TrackSource
from vp_jax.media.video_writer import encode_mp4, write_video

CLIP = clip_files.moving()


def distance(a, b):
    return np.abs(a.astype(int) - b.astype(int)).mean()


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (21, 34)], ids=str)
@pytest.mark.parametrize("suffix, worst", [(".mp4", 3), (".mov", 3), (".webm", 4), (".mkv", 0), (".gif", 12)])
def test_what_is_written_is_read_back(tmp_path, suffix, worst, size):
    frames = clip_files.moving(7, *size)
    path = tmp_path / f"new/folder/out{suffix}"
    assert [found.line for found in write_video(path, frames, clip_files.FPS)] == (
        ["times: rounded to 1/100 s, the steps of .gif"] if suffix == ".gif" else []
    )
    back, fps = video.read_video(path)
    assert back.shape == frames.shape and back.dtype == np.uint8
    assert distance(back, frames) <= worst
    if suffix != ".gif":  # GIF time is in 1/100 s
        assert fps == clip_files.FPS
    info = video.probe(path)
    assert (info.frames, info.height, info.width, info.has_audio) == (7, *size, False)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["out", "out.mp4"])
def test_a_pipe_or_device_is_no_place_for_a_result(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="is a pipe: expected a regular file"):
        video_writer.check_output(tmp_path / name)
    with pytest.raises(UserError, match="/dev/null is a device"):
        video_writer.check_output("/dev/null")


def test_gif_keeps_frames_that_repeat(tmp_path):
    write_video(tmp_path / "still.gif", np.repeat(CLIP[:1], 6, axis=0), 10)
    frames, fps = video.read_video(tmp_path / "still.gif")
    assert len(frames) == 6 and fps == 10


def test_colours_survive_in_hd_conventions(tmp_path):
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40), (128, 128, 128)], np.uint8)
    frames = np.broadcast_to(colours[:, None, None, :], (5, 32, 32, 3))
    write_video(tmp_path / "out.mp4", frames, 24)
    back, _ = video.read_video(tmp_path / "out.mp4")
    assert np.abs(back.astype(int) - frames).max() <= 4
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).colorspace == 1  # BT.709, tagged


def test_folder_round_trip_is_bit_exact_and_replaces_only_our_own(tmp_path):
    path = tmp_path / "frames"
    (tmp_path / ".frames.partial").mkdir()  # left by a run that was killed
    write_video(path, CLIP, 8)
    write_video(path, CLIP[:5], 8)
    back, fps = video.read_video(path)
    np.testing.assert_array_equal(back, CLIP[:5])
    assert fps == video.FOLDER_FPS
    (path / "diary.txt").write_text("mine")
    with pytest.raises(UserError, match=r"diary\.txt, which this program did not write"):
        write_video(path, CLIP, 8)
    assert (path / "diary.txt").read_text() == "mine"


def test_failure_midway_keeps_the_old_file_and_leaves_no_scraps(tmp_path):
    path = tmp_path / "out.mp4"
    write_video(path, CLIP, 24)
    before = path.read_bytes()

    def broken():
        yield CLIP[0]
        raise RuntimeError("power cut")

    for target in (path, tmp_path / "folder"):
        with pytest.raises(RuntimeError, match="power cut"):
            write_video(target, broken(), 24)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_is_copied_from_the_chosen_second(tmp_path, suffix):
    source = clip_files.encode(tmp_path / "in.mp4", clip_files.moving(90), sound=True)
    frames, fps = video.read_video(source, start=30, stop=60)
    out = tmp_path / f"out{suffix}"
    part = TrackSource(source, 30 / fps, 30 / fps, first_frame=False)
    (sound,) = write_video(out, frames, fps, tracks=part)
    assert sound.how == "copied"
    info = video.probe(out)
    assert info.has_audio and info.frames == 30 and info.fps == clip_files.FPS
    with av.open(str(out)) as container:
        samples = sum(block.samples for block in container.decode(audio=0))
    assert samples / 16000 == pytest.approx(30 / fps, abs=0.13)  # whole AAC packets of 1024 samples


def test_sound_is_left_out_where_it_cannot_be(tmp_path):
    source = clip_files.encode(tmp_path / "in.mp4", CLIP, sound=True)
    silent = clip_files.encode(tmp_path / "silent.mp4", CLIP)
    still = clip_files.folder(tmp_path / "frames", CLIP)
    opus = clip_files.opus(tmp_path / "in.mkv")

    def sound(name, path):
        return [found.how for found in write_video(tmp_path / name, CLIP, 24, tracks=TrackSource(path))]

    assert sound("a.webm", source) == ["written"]  # WebM holds no AAC
    assert sound("b.mp4", silent) == []
    assert sound("d.mkv", opus) == ["copied"]
    assert sound("e.mov", opus) == ["written"]  # though on MOV's list of codecs
    assert len(video.read_video(tmp_path / "e.mov")[0]) == len(CLIP)
    assert sound("f.mp4", tmp_path / "gone meanwhile.mp4") == ["lost"]
    assert sound("c.mp4", still) == []
    assert sound("g.gif", source) == ["lost", "lost"]  # and 24 frames per second are no multiple of 1/100 s


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_equal_runs_give_equal_bytes_with_all_their_streams(tmp_path, suffix):
    source = film(tmp_path / "in.mkv", sounds=[Sound("libopus", "eng")], chapters=True, font=True, cover=True)
    files = [tmp_path / f"{name}{suffix}" for name in ("a", "b")]
    for file in files:
        read = Video.read(source)
        write_video(file, read.frames_FHWC, read.fps, clock=read.clock, tracks=read.tracks)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_codec_steps_in_without_libx264(tmp_path, monkeypatch):
    monkeypatch.setattr(video_writer.av, "codecs_available", {"mpeg4"})
    write_video(tmp_path / "out.mp4", CLIP, 24)
    back, fps = video.read_video(tmp_path / "out.mp4")
    assert back.shape == CLIP.shape and fps == 24 and distance(back, CLIP) < 5


@pytest.mark.parametrize(
    "name, message",
    [("out.avi", "cannot write .avi, expected .mp4"), ("taken.mp4", "is a folder"), ("file/out.mp4", "not a folder")],
)
def test_outputs_that_cannot_be(tmp_path, name, message):
    (tmp_path / "taken.mp4").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=message):
        video_writer.check_output(tmp_path / name)


def test_no_frames_to_write(tmp_path):
    with pytest.raises(UserError, match="no frames to write"):
        write_video(tmp_path / "out.mp4", CLIP[:0], 24)


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".gif"])
def test_equal_frames_give_equal_bytes(tmp_path, suffix):
    files = [tmp_path / f"{name}{suffix}" for name in ("a", "b", "c")]
    for file in files:
        write_video(file, CLIP, 24)
    assert len({file.read_bytes() for file in files}) == 1


def test_bytes_of_an_mp4_are_close_exact_in_count_and_equal_every_time():
    for size in ((48, 64), (47, 63)):
        frames = clip_files.moving(9, *size)
        content = encode_mp4(frames, 30000 / 1001, crf=6)
        assert content == encode_mp4(frames, 30000 / 1001, crf=6)
        assert distance(video.read_frames(content, range(9)), frames) < 1.5
        info = video.probe(content)
        assert (info.frames, info.height, info.width, info.fps) == (9, *size, clip_files.FPS)


def test_sizes_follow_the_quality():
    noise = np.random.default_rng(0).integers(0, 255, (4, 48, 64, 3), np.uint8)
    assert len(encode_mp4(noise, 8, crf=30)) < len(encode_mp4(noise, 8, crf=12)) < len(encode_mp4(noise, 8, crf=0))


@pytest.mark.parametrize("strange", ["00000.png", "00001.png", "notes.txt", "link", "folder"])
def test_a_folder_is_replaced_only_if_this_program_wrote_all_of_it(tmp_path, strange):
    """A user's own masks are called 00000.png, too."""
    folder = tmp_path / "masks"
    write_video(folder, CLIP[:2], 24)
    write_video(folder, CLIP[:3], 24)
    file = folder / ("00007.png" if strange in ("link", "folder") else strange)
    if strange == "link":
        file.symlink_to(folder / "00000.png")
    elif strange == "folder":
        file.mkdir()
    elif strange == "notes.txt":
        file.write_text("precious")
    else:
        Image.fromarray(CLIP[0]).save(file)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(UserError, match=rf"masks: holds {file.name}, which this program did not write"):
        write_video(folder, CLIP[:2], 24)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_growing_file_can_be_watched_before_it_ends(tmp_path):
    path, seen = tmp_path / "growing.mp4", []

    def frames():
        for number in range(150):
            if number == 149:
                with av.open(str(path)) as container:
                    seen.append(sum(1 for _ in container.decode(video=0)))
            yield CLIP[number % len(CLIP)]

    write_video(path, frames(), clip_files.FPS, keyframes=6, growing=True)
    assert 24 <= seen[0] < 149 and video.probe(path).frames == 150
