"""A short film is decoded once, a long one every time, and both give the same frames."""

import threading

import numpy as np
import pytest

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Video
from vp_jax.media import film, video
from vp_jax.media.film import film_frames
from vp_jax.media.kept_film import KeptFilm
from vp_jax.media.planes import native_frames

CLIP = clip_files.moving(9)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return clip_files.encode(tmp_path_factory.mktemp("kept") / "clip.mp4", CLIP)


@pytest.fixture
def decodings(monkeypatch):
    """The readers of films that ran."""
    ran = []
    decode = film._frames_of
    monkeypatch.setattr(film, "_frames_of", lambda *a: ran.append(a) or decode(*a))
    return ran


def everything(opened: Video) -> list[np.ndarray]:
    """Frames as the model and as the result read them, from 2 on."""
    native = [plane for frame in native_frames(opened.source, range(2, 9)) for plane in frame.planes]
    return [*opened.frames_FHWC[2:], *opened.frames_FHWC.reduced(24, 32)[2:], *native]


def test_a_short_film_is_decoded_once_for_all_its_readers(path, decodings):
    opened = Video.open(path)
    assert len(decodings) == 1
    kept = everything(opened)
    assert len(decodings) == 1
    opened.source.kept.complete = False
    decoded = everything(opened)
    assert len(decodings) == 4
    for one, other in zip(kept, decoded, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_film_that_does_not_fit_is_not_kept_at_all(path):
    for most, fits in ((1, False), (1 << 20, True)):
        kept = KeptFilm(most)
        for decoded in film_frames(path):
            kept.add(decoded, len(CLIP))
        kept.finish(len(CLIP))
        assert kept.complete is fits


def test_frames_beyond_those_that_were_announced_end_the_keeping(path):
    frames = list(film_frames(path))
    room = sum(plane.buffer_size for plane in frames[0].frame.planes) * 4
    kept = KeptFilm(room)
    for decoded in frames:
        kept.add(decoded, 3)
    kept.finish(len(frames))
    assert not kept.complete


def test_readers_of_several_threads_see_the_same_frames(path):
    opened, found = Video.open(path), []

    def read():
        found.append(np.stack(opened.frames_FHWC.again()))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want_FHWC = video.read_video(path)[0]
    assert len(found) == 4
    for frames_FHWC in found:
        np.testing.assert_array_equal(frames_FHWC, want_FHWC)


def test_a_kept_film_that_changes_is_still_an_error(tmp_path):
    path = clip_files.encode(tmp_path / "clip.mp4", CLIP)
    opened = Video.open(path)
    clip_files.encode(path, clip_files.moving(10))
    with pytest.raises(UserError, match="changed while it was used"):
        next(native_frames(opened.source, range(9)))
    with pytest.raises(UserError, match="changed while it was used"):
        opened.frames_FHWC[0]
