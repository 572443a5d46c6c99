"""Packets are counted where each is a frame; whatever is in doubt is left to decoding."""

import numpy as np
import pytest

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media import video
from vp_jax.media.kept_film import KeptFilm
from vp_jax.media.packet_count import counted_by_packets

CLIP = clip_files.moving(30)
UNEVEN = [number + number // 3 for number in range(30)]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv"])
@pytest.mark.parametrize("pts", [None, UNEVEN], ids=["even", "uneven"])
def test_packets_tell_the_frames_of_usual_films(tmp_path, name, pts):
    path = clip_files.encode(tmp_path / name, CLIP, pts=pts, sound=True)
    assert counted_by_packets(path) == counted_by_packets(path.read_bytes()) == len(video.read_video(path)[0]) == 30


def test_what_is_in_doubt_is_left_to_decoding(tmp_path):
    whole = clip_files.encode(tmp_path / "clip.mkv", CLIP)
    doubtful = [
        clip_files.encode(tmp_path / "clip.ts", CLIP),
        clip_files.encode(tmp_path / "ffv1.mkv", CLIP, codec="ffv1"),
        clip_files.encode(tmp_path / "clip.webm", CLIP, codec="libvpx"),
        tmp_path / "cut.mkv",
        tmp_path / "none.mp4",
    ]
    doubtful[3].write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert [counted_by_packets(path) for path in doubtful] == [None] * 5


@pytest.mark.parametrize("chosen", [{}, {"start": 4}, {"fps": 10, "start": 1}])
def test_a_long_film_is_not_decoded_to_be_counted_and_has_the_same_frames(tmp_path, monkeypatch, chosen):
    path = clip_files.encode(tmp_path / "clip.mp4", CLIP)
    want_FHWC = video.read_video(path, **chosen)[0]
    with monkeypatch.context() as patched:
        patched.setattr(video, "film_frames", lambda *_, **__: pytest.fail("decoded"))
        frames_FHWC, _ = video.stream_video(path, kept=KeptFilm(1), **chosen)
    np.testing.assert_array_equal(np.stack(frames_FHWC), want_FHWC)


def test_damage_within_a_long_film_is_the_same_error_when_it_is_read(tmp_path):
    path = clip_files.encode(tmp_path / "clip.mkv", CLIP)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(UserError) as before:
        video.stream_video(path)
    with pytest.raises(UserError) as after:
        list(video.stream_video(path, kept=KeptFilm(1))[0])
    assert str(after.value) == str(before.value)
