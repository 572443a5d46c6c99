"""A file that ends where it says may promise more frames than it has; one that does not was cut."""

import pytest

from tests import clip_files
from tests.odd_sources import Pipe
from tests.source_films import film
from vp_jax.errors import UserError
from vp_jax.media.endings import ends_intact
from vp_jax.media.video import probe, read_video


@pytest.mark.parametrize("name, codec", [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")])
def test_a_file_that_was_cut_does_not_end_intact(tmp_path, name, codec):
    path = film(tmp_path / name, codec=codec)
    content = path.read_bytes()
    assert ends_intact(path) and ends_intact(content) and ends_intact(content + b"more")
    for end in (0, 3, 11, 40, len(content) // 2, len(content) - 1):
        assert not ends_intact(content[:end])


def test_formats_without_a_size_are_never_taken_for_intact(tmp_path):
    assert not ends_intact(film(tmp_path / "a.mp4")) and not ends_intact(film(tmp_path / "a.ts"))
    pipe = Pipe(tmp_path / "live.webm")
    film(tmp_path / "live.webm", codec="libvpx-vp9", options={"live": "1"}, file=pipe, format="webm")
    pipe.close()
    assert not ends_intact(tmp_path / "live.webm")
    with pytest.raises(UserError, match="no such file"):
        ends_intact(tmp_path / "gone.mkv")


def stale_mkv(path):
    content = film(path / "a.mkv", frames=100).read_bytes()
    return content.replace(b"00:00:04.000000000", b"00:00:09.000000000")


def stale_avi(path):
    content = film(path / "a.avi", frames=100, codec="mpeg4").read_bytes()
    at = content.index(b"vids") + 32
    return (content[:at] + (900).to_bytes(4, "little") + content[at + 4 :]).replace(b"idx1", b"JUNK")


@pytest.mark.parametrize("make", [stale_mkv, stale_avi])
def test_a_stale_promise_is_a_note_and_a_cut_is_an_error(tmp_path, make):
    content = make(tmp_path)
    assert "complete, but shorter than it says" in probe(content).note
    assert probe(content).frames == len(read_video(content)[0]) == 100
    with pytest.raises(UserError, match=r"cut short|damaged"):
        read_video(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"cut short|damaged"):
        read_video(content[: content.rindex(b"JUNK") - 30] if make is stale_avi else content[:-400])


def test_a_file_that_keeps_its_promise_has_no_note(tmp_path):
    for name in ("a.mkv", "a.mp4"):
        assert probe(clip_files.encode(tmp_path / name, clip_files.moving(9))).note == ""
