"""Results are pasted at the source's size and written with its rate and sound; what is lost is said."""

import dataclasses
from fractions import Fraction

import av
import numpy as np
import pytest

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.inference.decode import Decoded
from vp_jax.inference.inputs import Mask, Video
from vp_jax.inference.request import make_request
from vp_jax.inference.result import Result, collect, segments
from vp_jax.inference.settings import Settings
from vp_jax.inference.stream import Continued, WindowDone
from vp_jax.media import video as files
from vp_jax.media.masks import dilate
from vp_jax.media.source import read_source

FRAMES = clip_files.moving(6, 48, 64)
HOLES = np.zeros((6, 48, 64), bool)
HOLES[:, 16:32, 16:40] = True
PAINT = np.full((6, 32, 32, 3), (250, 10, 200), np.uint8)


def request(video=None, **look):
    return make_request(video or Video(FRAMES), Mask(HOLES), Settings(window=5, overlap=1), (32, 32), look)


EVENTS = [
    Continued(0, 1),
    Decoded(0, 0, PAINT[:3]),
    Decoded(0, 3, PAINT[3:4]),
    WindowDone(0, None),
    Decoded(1, 4, PAINT[4:]),
]


def test_frames_are_pasted_into_the_source():
    result = collect([*EVENTS, WindowDone(1, None)], request())
    assert len(result) == 6 and (result.model_FHWC == PAINT).all()
    frames = result.frames_FHWC
    np.testing.assert_array_equal(frames[~HOLES], FRAMES[~HOLES])
    assert (frames[HOLES] == (250, 10, 200)).all()
    assert (Result(request(paste=False), PAINT).frames_FHWC == (250, 10, 200)).all()
    soft = Result(request(feather=3), PAINT).frames_FHWC
    assert (soft[:, 24, 28] == (250, 10, 200)).all() and (soft[:, 24, 16] != (250, 10, 200)).any()


def test_segments_are_the_frames_of_one_window_each():
    found = list(segments([*EVENTS, WindowDone(1, None)], request()))
    assert [(part.start, len(part.frames_FHWC), part.window, part.windows) for part in found] == [
        (0, 4, 0, 2),
        (4, 2, 1, 2),
    ]
    whole = collect([*EVENTS, WindowDone(1, None)], request()).frames_FHWC
    np.testing.assert_array_equal(np.concatenate([part.frames_FHWC for part in found]), whole)


def test_a_segment_comes_before_the_next_window_is_asked_for():
    def events():
        yield from EVENTS[:4]
        raise AssertionError("the next window was sampled")

    assert next(segments(events(), request())).start == 0


def test_files_have_the_rate_and_the_sound_of_the_source(tmp_path, recwarn):
    source = clip_files.encode(tmp_path / "in.mp4", clip_files.moving(30), sound=True)
    video = Video.read(source, start=6, stop=24, fps=8)
    result = Result(request(video), PAINT)
    assert result.save(tmp_path / "out.mp4") == tmp_path / "out.mp4"
    info = files.probe(tmp_path / "out.mp4")
    assert (info.frames, info.fps, info.has_audio) == (6, Fraction(10000, 1001), True)
    assert not recwarn.list
    result.save(str(tmp_path / "out"), warn=[].append)
    np.testing.assert_array_equal(files.read_video(tmp_path / "out")[0], result.frames_FHWC)


def test_a_lossless_file_is_in_the_pixels_of_the_source(tmp_path):
    source = clip_files.encode(tmp_path / "in.mp4", clip_files.moving(30))
    result, lines = Result(request(Video.read(source, start=6, stop=24, fps=8)), PAINT), []
    result.save(tmp_path / "out.mkv", note=lambda found: lines.append(found.line))
    assert lines == ["outside of the hole unchanged, over 6 frames of the written file"]
    assert str(read_source(tmp_path / "out.mkv").layout) == "8-bit 4:2:0"
    away = ~dilate(result.request.holes_FHW[:6], 4)  # players interpolate colours over the rim
    written = files.read_video(tmp_path / "out.mkv")[0]
    np.testing.assert_array_equal(written[away], result.frames_FHWC[away])


def test_a_changed_video_is_written_as_it_is_in_memory(tmp_path):
    video = Video.read(clip_files.encode(tmp_path / "in.mp4", FRAMES))
    with pytest.raises(ValueError, match="read-only"):
        video.frames_FHWC[:] = 0
    darker = dataclasses.replace(video, frames_FHWC=video.frames_FHWC // 2)
    Result(request(darker), PAINT).save(tmp_path / "out.mkv")
    written = files.read_video(tmp_path / "out.mkv")[0]
    np.testing.assert_array_equal(written[:, 0, 0], darker.frames_FHWC[: len(written), 0, 0])


def test_a_source_that_changed_is_an_error(tmp_path):
    source = clip_files.encode(tmp_path / "in.mp4", FRAMES)
    result = Result(request(Video.read(source)), PAINT)
    clip_files.encode(source, FRAMES[::-1])
    with pytest.raises(UserError, match=r"in\.mp4: changed while it was used, start again"):
        result.save(tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(
    "name, quality, message",
    [
        ("out.mp4", 52, "quality 52: expected 0 to 51"),
        ("out.mkv", 20, "quality 20: .mkv is lossless, leave it off"),
        ("frames", 20, "quality 20: a folder of PNG is lossless"),
        ("out.gif", 20, "quality 20: .gif has none"),
    ],
)
def test_a_quality_that_cannot_be(tmp_path, name, quality, message):
    with pytest.raises(UserError, match=message):
        Result(request(), PAINT).save(tmp_path / name, quality=quality)


def test_a_better_quality_is_nearer_to_the_source(tmp_path):
    result, sizes, lines = Result(request(Video.read(clip_files.encode(tmp_path / "in.mp4", FRAMES))), PAINT), [], []
    for quality in (40, 17, 2):
        result.save(tmp_path / "out.mp4", quality=quality, note=lambda found: lines.append(found.line))
        sizes.append((tmp_path / "out.mp4").stat().st_size)
    psnr = [float(line.split("hole ")[1].split(" dB")[0]) for line in lines]
    assert sizes == sorted(sizes) and psnr == sorted(psnr) and psnr[1] > 35


def test_sound_that_a_format_cannot_hold_is_said(tmp_path):
    source = clip_files.encode(tmp_path / "in.mp4", FRAMES, sound=True)
    result = Result(request(Video.read(source)), PAINT)
    with pytest.warns(UserWarning, match=r"sound 1 \(aac\): lost, a folder of images holds pictures only"):
        result.save(tmp_path / "frames")
    lines = []
    result.save(tmp_path / "out.gif", warn=lines.append)
    assert lines[0] == "sound 1 (aac): lost, .gif holds pictures only"
    assert lines[1:] == ["times: rounded to 1/100 s, the steps of .gif"]
    Result(request(), PAINT).save(tmp_path / "silent.mkv", warn=lines.append)
    assert len(lines) == 2


def test_what_is_carried_is_reported_and_only_losses_are_warned_of(tmp_path, recwarn):
    source = clip_files.encode(tmp_path / "in.mp4", FRAMES, sound=True)
    found = []
    Result(request(Video.read(source)), PAINT).save(tmp_path / "out.mp4", carried=found.append)
    with av.open(str(source)) as container:
        packets = sum(bool(packet.size) for packet in container.demux(audio=0))
    assert [(one.kind, one.how, one.line) for one in found] == [
        ("sound", "copied", f"sound 1 (aac): copied, {packets} packets")
    ]
    assert not recwarn.list


def test_fewer_frames_than_the_source_has_end_the_sound_with_them(tmp_path):
    source = clip_files.encode(tmp_path / "in.mp4", clip_files.moving(60), sound=True)
    clock, tracks = Video.read(source).first(30)
    assert len(clock) == 30 and tracks.end == Fraction(1001, 1000)


@pytest.mark.parametrize("extend, aligned", [("left=6,top=4,right=3", True), ("left=5", False)])
def test_an_extended_result_keeps_the_source_s_planes_where_chroma_allows(tmp_path, extend, aligned):
    video = Video.read(clip_files.encode(tmp_path / "in.mkv", clip_files.moving(5, 32, 48), codec="ffv1"))
    request = make_request(video, None, Settings(window=5, overlap=1), (32, 48), {"extend": extend})
    made = np.full((5, 32, 48, 3), 200, np.uint8)
    lost, notes = [], []
    Result(request, made).save(tmp_path / "out.mkv", warn=lost.append, note=notes.append)
    written = read_source(tmp_path / "out.mkv")
    assert (written.height, written.width) == request.video.size
    assert (written.layout == video.source.layout) == aligned
    if aligned:
        assert not lost and "unchanged" in notes[0].line
        return
    assert len(lost) == 1 and "8-bit RGB: 8-bit 4:2:0 keeps its samples under an extend of left by multiples" in lost[0]
    frames = Video.read(tmp_path / "out.mkv").frames_FHWC
    np.testing.assert_array_equal(frames[:, :, 5:], video.frames_FHWC)
