"""A file that ends where it says may promise more frames than it has; one that does not was cut."""

import pytest

from tests import clip_files
from tests.odd_sources import Pipe
from tests.source_films import film
from vp_jax.errors import UserError
from vp_jax.media.endings import ends_intact, is_broken_inside
from vp_jax.media.matroska import elements
from vp_jax.media.video import probe, read_video


@pytest.mark.parametrize("name, codec", [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mpeg4")])
def test_a_file_that_was_cut_does_not_end_intact(tmp_path, name, codec):
    path = film(tmp_path / name, codec=codec)
    content = path.read_bytes()
    assert ends_intact(path) and ends_intact(content) and ends_intact(content + b"more")
    for end in (0, 3, 11, 40, len(content) // 2, len(content) - 1):
        assert not ends_intact(content[:end])


def first_block(content):
    """Where the name of the first frame's element is."""
    cluster = content.index(b"\x1f\x43\xb6\x75")
    outer = next(elements(content[cluster:], partial=True))
    at = begin = cluster + outer.at
    for part in elements(outer.content, partial=True):
        if part.name == 0xA3:
            break
        at = begin + part.at + len(part.content)
    assert content[at] == 0xA3
    return at


@pytest.mark.parametrize("name, codec", [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9")])
def test_bytes_that_are_no_elements_break_a_file_and_others_do_not(tmp_path, name, codec):
    content = film(tmp_path / name, codec=codec, frames=60).read_bytes()
    assert not is_broken_inside(content) and not is_broken_inside(tmp_path / name)
    assert not is_broken_inside(content + b"more")
    assert not any(is_broken_inside(content[:end]) for end in (0, 3, 11, 40, len(content) // 2, len(content) - 1))
    first = first_block(content)
    assert is_broken_inside(content[:first] + bytes(1) + content[first + 1 :]), "a frame's name"
    assert is_broken_inside(content[: first + 1] + bytes(1) + content[first + 2 :]), "a frame's length"
    longer = content[: first + 1] + b"\x10\xff\xff\xff" + content[first + 5 :]
    assert is_broken_inside(longer), "a frame that is longer than the file"
    within = first + 12
    assert not is_broken_inside(content[:within] + bytes(4) + content[within + 4 :]), "what is in it is for the decoder"


def test_frames_that_are_lost_within_a_file_are_an_error_however_many_there_are(tmp_path):
    content = film(tmp_path / "a.mkv", codec="mpeg4", frames=20).read_bytes()
    places = [at for at in range(len(content) - 3) if content[at] == 0xA3]
    broken = [content[:at] + bytes(2) + content[at + 2 :] for at in places]
    lost = [damaged for damaged in broken if is_broken_inside(damaged)]
    assert len(lost) >= 18
    for damaged in (lost[0], lost[-1]):
        with pytest.raises(UserError, match="damaged, decoding stopped at frame"):
            read_video(damaged)


def test_a_recording_that_knows_no_sizes_is_not_broken(tmp_path):
    pipe = Pipe(tmp_path / "live.webm")
    film(tmp_path / "live.webm", codec="libvpx-vp9", options={"live": "1"}, file=pipe, format="webm", frames=60)
    pipe.close()
    assert not is_broken_inside(tmp_path / "live.webm") and len(read_video(tmp_path / "live.webm")[0]) == 60


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
