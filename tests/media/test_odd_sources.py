"""The table of odd sources: every stream, time and tag is kept, or lost with a line; any length, any rate."""

from fractions import Fraction

import av
import pytest

from tests.odd_sources import SOURCES, check
from tests.seen_streams import seen
from tests.source_films import Sound, film
from vp_jax.inference.inputs import Video
from vp_jax.media.video_writer import write_video

LENGTHS = (1, 2, 5, 48, 49, 50, 97, 200, 331, 1000)


def test_the_table_is_long_enough():
    assert len(SOURCES) >= 30 and len({source.name for source in SOURCES}) == len(SOURCES)


@pytest.mark.parametrize("source", SOURCES, ids=[source.name for source in SOURCES])
def test_a_source_is_carried_through_or_its_loss_is_named(tmp_path, source):
    assert check(source, tmp_path).faults == []


@pytest.mark.slow
@pytest.mark.parametrize("frames", LENGTHS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_count_times_and_sound_of_any_length_are_equal(tmp_path, suffix, frames):
    path = film(tmp_path / f"in{suffix}", frames=frames, rate=Fraction(30000, 1001), sounds=[Sound("aac", "eng")])
    video, out = Video.read(path), tmp_path / f"out{suffix}"
    clock, tracks = video.first(len(video))
    (sound,) = write_video(out, video.frames_FHWC, video.fps, clock=clock, tracks=tracks)
    before, after = seen(path), seen(out)
    tick = max(before.tick, after.tick)
    assert len(after.times) == frames and sound.how == "copied"
    assert max(abs(a - b) for a, b in zip(before.times, after.times)) <= tick
    assert [data for *_, data in before.streams[0].packets] == [data for *_, data in after.streams[0].packets]
    assert [at for at, *_ in before.streams[0].packets] == [at for at, *_ in after.streams[0].packets]
    with av.open(str(out)) as container:
        assert container.streams.audio[0].metadata["language"] == "eng"
