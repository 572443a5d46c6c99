"""How a stream enters a container: as it is, encoded anew, or not at all."""

import io

import av
import pytest

from tests.source_films import Sound, film
from vp_jax.media.streams.track_routes import FORMATS, format_takes, route_of

ROUTES = [
    ("aac", ".mp4", "copied"),
    ("aac", ".mkv", "copied"),
    ("aac", ".webm", "written as Opus"),
    ("libopus", ".webm", "copied"),
    ("libopus", ".mov", "written as AAC"),
    ("ac3", ".mp4", "copied"),
    ("flac", ".webm", "written as Opus"),
    ("pcm_s16le", ".mkv", "copied"),
    ("subrip", ".mkv", "copied"),
    ("subrip", ".mp4", "written as mov_text"),
    ("ass", ".webm", "written as WebVTT"),
    ("ass", ".mkv", "copied"),
]


@pytest.mark.parametrize("codec, suffix, how", ROUTES)
def test_a_stream_is_copied_where_it_can_be(tmp_path, codec, suffix, how):
    text = codec in ("subrip", "ass")
    path = film(tmp_path / "in.mkv", sounds=[] if text else [Sound(codec)], text=codec if text else "")
    with av.open(str(path)) as source, av.open(io.BytesIO(), "w", format=FORMATS[suffix]) as output:
        stream = source.streams[1]
        assert route_of(stream, output, suffix, first_frame=True).how == how


def test_surround_sound_stays_surround(tmp_path):
    path = film(tmp_path / "in.mkv", sounds=[Sound("ac3", layout="5.1")])
    with av.open(str(path)) as source, av.open(io.BytesIO(), "w", format="webm") as output:
        route = route_of(source.streams[1], output, ".webm", first_frame=True)
        assert route.out.codec_context.channels == 6


def test_data_has_no_way_into_matroska(tmp_path):
    with (
        av.open(str(film(tmp_path / "a.ts", data=True))) as source,
        av.open(io.BytesIO(), "w", format="matroska") as out,
    ):
        assert route_of(source.streams.data[0], out, ".mkv", first_frame=True) is None


def test_a_trial_leaves_no_trace_and_knows_what_is_refused():
    assert format_takes(lambda output: output.add_attachment("a.ttf", "font/ttf", b"x"), ".mkv")
    assert not format_takes(lambda output: output.add_stream("libopus", rate=48000), ".gif")
