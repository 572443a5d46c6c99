"""Collection: what cannot be used is named, digests are compared, addresses are loaded."""

import functools
import hashlib
import http.server
import threading

import pytest

from tests.curate.drawn_sources import scene_frames
from vp_jax.curate.fetch import FetchRules
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.curate.stages.collect import Collect
from vp_jax.errors import UserError
from vp_jax.media.video_writer import write_video

STAGE = Collect(fetch=FetchRules(tries=1, per_second=1000), least_rows=32)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    file = tmp_path_factory.mktemp("film") / "a.mp4"
    write_video(file, scene_frames(3, 56, 48, 72)[0], 8)
    return file


@pytest.fixture
def place(tmp_path):
    (tmp_path / "work").mkdir()
    return StagePlace(tmp_path, tmp_path / "work", "work")


def test_a_good_video_is_described(film, place):
    (clip,) = STAGE.process(ClipRecord("a", str(film)), place)
    assert (clip.frames, clip.height, clip.width, clip.fps, clip.stop) == (56, 48, 72, "8", 56)
    assert clip.sha256 == hashlib.sha256(film.read_bytes()).hexdigest() and len(clip.hashes) == 3


def test_limits_are_named(film, place):
    for limits, words in (
        ({"least_seconds": 8.0}, r"too short: 7\.0 s"),
        ({"least_rows": 100}, "too small: 72x48"),
        ({"least_change": 300.0}, "still picture"),
    ):
        with pytest.raises(Dropped, match=words):
            Collect(**{"least_rows": 32, **limits}).process(ClipRecord("a", str(film)), place)


def test_another_digest_than_stated_is_a_fault(film, place):
    with pytest.raises(UserError, match="expected 00ff: the file changed or is damaged"):
        STAGE.process(ClipRecord("a", str(film), sha256="00ff"), place)


def test_an_address_is_loaded_into_the_store(film, place):
    handler = functools.partial(_Quiet, directory=str(film.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a.mp4"
        (clip,) = STAGE.process(ClipRecord(address, address), place)
        server.shutdown()
    assert clip.video == "work/video.mp4" and place.path(clip.video).read_bytes() == film.read_bytes()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Quiet."""
