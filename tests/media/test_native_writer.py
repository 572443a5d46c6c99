"""Results in the pixels of their source: the table of `tests.source_formats`, and what stands around it."""

import os
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from tests import clip_files, source_formats
from tests.drawn_planes import draw, generated
from tests.source_formats import ROWS, Row, faults, go, holes, write_source
from vp_jax.errors import UserError
from vp_jax.media import video
from vp_jax.media.native_writer import Pasting, write_pasted
from vp_jax.media.source import read_source


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_source_comes_back_in_its_own_pixels(row, tmp_path):
    assert faults(row, go(row, tmp_path)) == []
    if hasattr(os, "sched_getscheduler"):  # of AV1 the encoder takes real-time priority if it is root
        assert {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")} == {os.SCHED_OTHER}


def test_equal_runs_give_equal_bytes(tmp_path):
    for suffix in (".mkv", ".webm"):
        contents = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir(exist_ok=True)
            result = go(Row("yuv420p10le", out=suffix), folder(tmp_path / name / suffix[1:]))
            contents.append((tmp_path / name / suffix[1:] / f"out{suffix}").read_bytes())
            assert result.lines == []
        assert contents[0] == contents[1]


def folder(path):
    path.mkdir(parents=True)
    return path


def written(tmp_path, row, name, **options):
    source = read_source(write_source(row, tmp_path))
    pasting = Pasting(source, range(source_formats.F), lambda _: generated(row.size), holes(row.size))
    lines = []
    write_pasted(tmp_path / name, pasting, Fraction(24), warn=lines.append, **options)
    return lines


def test_only_chosen_frames_are_written(tmp_path):
    path = clip_files.encode(tmp_path / "in.mkv", clip_files.moving(12), codec="ffv1")
    pasting = Pasting(read_source(path), range(2, 11, 3), lambda _: np.zeros((48, 64, 3), np.uint8), None)
    pasting = pasting._replace(holes_FHW=np.zeros((3, 48, 64), bool))
    write_pasted(tmp_path / "out.mkv", pasting, Fraction(8), warn=print)
    np.testing.assert_array_equal(video.read_video(tmp_path / "out.mkv")[0], video.read_frames(path, [2, 5, 8]))


def test_without_pasting_everything_is_generated_in_the_source_s_format(tmp_path):
    source = read_source(write_source(Row("yuv420p10le"), tmp_path))
    pasting = Pasting(source, range(3), lambda _: generated((48, 64)), None)
    write_pasted(tmp_path / "out.mkv", pasting, Fraction(24), warn=print)
    assert read_source(tmp_path / "out.mkv").layout == source.layout
    away = np.abs(video.read_video(tmp_path / "out.mkv")[0].astype(int) - generated((48, 64)))
    assert away.mean() < 1


def test_a_turned_source_is_written_upright(tmp_path):
    frames = clip_files.moving(4)
    path = clip_files.rotate_header(clip_files.encode(tmp_path / "in.mp4", frames))
    source, lines = read_source(path), []
    assert (source.height, source.width, source.layout.step) == (64, 48, (2, 2))
    pasting = Pasting(source, range(4), lambda _: np.zeros((64, 48, 3), np.uint8), np.zeros((4, 64, 48), bool))
    write_pasted(tmp_path / "out.mkv", pasting, Fraction(24), warn=lines.append)
    with av.open(str(path)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        for old, new in zip(before.decode(video=0), after.decode(video=0)):
            for plane, turned in zip(source_formats.split(old), source_formats.split(new)):
                np.testing.assert_array_equal(np.rot90(plane, -1), turned)
    assert lines == []


def test_a_turned_4_2_2_source_becomes_4_4_0(tmp_path):
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "4"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv422p"
        stream.set_display_rotation(90)
        for number in range(3):
            container.mux(stream.encode(draw("yuv422p", (48, 64), number)))
        container.mux(stream.encode())
    source = read_source(path)
    assert (source.layout.name, source.height, source.width) == ("yuv440p", 64, 48)
    pasting = Pasting(source, range(3), lambda _: generated((64, 48)), np.zeros((3, 64, 48), bool))
    write_pasted(tmp_path / "out.mkv", pasting, Fraction(24), warn=print)
    with av.open(str(path)) as before, av.open(str(tmp_path / "out.mkv")) as after:
        old, new = next(before.decode(video=0)), next(after.decode(video=0))
        assert new.format.name == "yuv440p"
        for plane, turned in zip(source_formats.split(old), source_formats.split(new)):
            np.testing.assert_array_equal(np.rot90(plane), turned)


def test_what_cannot_be_kept_is_said_in_one_line_each(tmp_path):
    hdr = next(row for row in ROWS if row.codec == "libx265")
    assert written(folder(tmp_path / "a"), hdr, "out.mp4") == []
    odd = Row("yuv420p", order=2)
    assert written(folder(tmp_path / "b"), odd, "out.webm") == [
        "fields of the interlaced source are not marked: VP9 here has none"
    ]
    lines = written(folder(tmp_path / "c"), Row("bgra"), "out.webm")
    assert lines == ["format 8-bit RGB with transparency becomes 8-bit 4:2:0 with transparency, which VP9 has"]


def test_a_source_that_grows_shorter_or_changes_is_an_error(tmp_path):
    path = clip_files.encode(tmp_path / "in.mkv", clip_files.moving(6), codec="ffv1")
    source = read_source(path)
    pasting = Pasting(source, range(9), lambda _: np.zeros((48, 64, 3), np.uint8), np.zeros((9, 48, 64), bool))
    with pytest.raises(UserError, match=r"in\.mkv: ends before frame 6, it changed"):
        write_pasted(tmp_path / "out.mkv", pasting, Fraction(24), warn=print)
    clip_files.encode(path, clip_files.moving(7), codec="ffv1")
    with pytest.raises(UserError, match=r"in\.mkv: changed while it was used, start again"):
        write_pasted(tmp_path / "out.mkv", pasting._replace(numbers=range(6)), Fraction(24), warn=print)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv"]


def test_a_folder_that_mixes_images_keeps_each_in_a_folder(tmp_path):
    (tmp_path / "in").mkdir()
    pictures = [np.full((8, 8, 3), 90, np.uint8), np.full((8, 8), 30, np.uint8)]
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / "in" / f"{index}.png")
    pasting = Pasting(read_source(tmp_path / "in"), range(2), lambda _: None, np.zeros((2, 8, 8), bool))
    lines = []
    write_pasted(tmp_path / "out", pasting, Fraction(8), warn=lines.append)
    modes = []
    for file in sorted((tmp_path / "out").iterdir()):
        with Image.open(file) as image:
            modes.append(image.mode)
    assert modes == ["RGB", "L"] and lines == []
    write_pasted(tmp_path / "out.mkv", pasting, Fraction(8), warn=lines.append)
    assert lines == ["format of 1 frames, 8-bit grey, becomes that of the first"]
    np.testing.assert_array_equal(video.read_video(tmp_path / "out.mkv")[0][:, 0, 0], [[90] * 3, [30] * 3])


def test_nothing_of_the_source_is_held(tmp_path):
    """Frames are pasted as the encoder asks for them."""
    path = clip_files.encode(tmp_path / "in.mkv", clip_files.moving(12), codec="ffv1")
    asked, seen = [], []

    def generate(index):
        asked.append(index)
        seen.append(len(list(tmp_path.glob(".vp_jax-*/out.mkv"))))
        return np.zeros((48, 64, 3), np.uint8)

    holes_FHW = np.ones((12, 48, 64), bool)
    write_pasted(tmp_path / "out.mkv", Pasting(read_source(path), range(12), generate, holes_FHW), 24, warn=print)
    assert asked == list(range(12)) and seen[1:] == [1] * 11
