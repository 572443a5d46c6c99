"""Streams on their way: parts, damage, files that are gone or changed, and covers."""

from fractions import Fraction

import av
import pytest
from av.stream import Disposition

from tests import clip_files
from tests.source_films import Sound, film, jpeg
from vp_jax.inference.inputs import Video
from vp_jax.media.streams.carried import TrackSource, stamp_of
from vp_jax.media.video_writer import write_video

S = Fraction
ENG = Sound("aac", "eng", "Main")


def lines(path, source, **changes):
    frames = clip_files.moving(30, 32, 48)
    return [found.line for found in write_video(path, frames, S(25), tracks=TrackSource(source, **changes))]


def test_copied_counts_the_packets_that_were_written(tmp_path):
    source = film(tmp_path / "in.mkv", sounds=[ENG])
    (line,) = lines(tmp_path / "out.mkv", source)
    with av.open(str(tmp_path / "out.mkv")) as container:
        written = sum(bool(packet.size) for packet in container.demux(audio=0))
    assert line == f"sound 1 (aac, eng): copied, {written} packets" and written == 58


def test_a_source_that_is_gone_or_changed_is_one_line_and_no_fault(tmp_path):
    source = film(tmp_path / "in.mp4", sounds=[ENG])
    video = Video.read(source)
    source.write_bytes(source.read_bytes() + b"more")
    (changed,) = write_video(tmp_path / "a.mp4", video.frames_FHWC, video.fps, tracks=video.tracks)
    assert changed.how == "lost" and "sound and other tracks are missing" in changed.line
    assert "in.mp4: changed since its frames were read" in changed.line
    source.unlink()
    (gone,) = write_video(tmp_path / "b.mp4", video.frames_FHWC, video.fps, tracks=video.tracks)
    assert gone.how == "lost" and "in.mp4: no such file" in gone.line
    (gone,) = write_video(tmp_path / "c.mp4", video.frames_FHWC, video.fps, tracks=TrackSource(source))
    assert "no such file" in gone.line and "\n" not in gone.line
    assert stamp_of(source) is None and stamp_of(tmp_path) is None and stamp_of(tmp_path / "a\0b") is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_damaged_stream_ends_itself_and_not_the_job(tmp_path, suffix):
    source = film(tmp_path / "in.mkv", frames=100, sounds=[ENG])
    content = source.read_bytes()
    source.write_bytes(content[: len(content) * 2 // 3])
    found = write_video(tmp_path / f"out{suffix}", clip_files.moving(100, 32, 48), S(25), tracks=TrackSource(source))
    assert all(line.kind == "sound" for line in found)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 100


def test_a_stream_whose_samples_cannot_be_decoded_ends_with_a_line(tmp_path):
    source = film(tmp_path / "in.mkv", frames=100, sounds=[Sound("flac")])
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        bad = bytes(packets[len(packets) // 2])
    content = source.read_bytes()
    source.write_bytes(content.replace(bad, bytes(len(bad))))
    (sound,) = write_video(tmp_path / "out.webm", clip_files.moving(100, 32, 48), S(25), tracks=TrackSource(source))
    assert sound.how == "lost" and "ended" in sound.line and "written as Opus" in sound.line


def test_a_cover_is_a_cover_again_and_no_video(tmp_path):
    source = film(tmp_path / "in.mkv", cover=True)
    assert lines(tmp_path / "out.mp4", source) == ["cover 1 (cover.jpg): copied, 1 packet"]
    with av.open(str(tmp_path / "out.mp4")) as container:
        cover = next(s for s in container.streams.video if s.disposition & Disposition.attached_pic)
        assert bytes(next(container.demux(cover))) == jpeg()
        assert sum(1 for _ in container.decode(video=0)) == 30


def test_languages_of_mov_are_those_of_the_source(tmp_path):
    source = film(tmp_path / "in.mkv", sounds=[ENG, Sound("aac", "deu"), Sound("aac", "nld")])
    assert all("copied" in line for line in lines(tmp_path / "out.mov", source))
    with av.open(str(tmp_path / "out.mov")) as container:
        assert [s.metadata["language"] for s in container.streams.audio] == ["eng", "ger", "dut"]
