"""Video files: counts by index or packets, damage with its frame, covers, playlists and side data.

Orientation, colours, edit lists and transparency are rows of the table of odd files.
"""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media import film, frame_pictures, images
from vp_jax.media.film import film_info, film_pictures

CLIP = clip_files.moving(12)


@pytest.fixture(scope="module")
def mp4(tmp_path_factory):
    return clip_files.encode(tmp_path_factory.mktemp("film") / "a.mp4", CLIP)


def test_an_index_is_enough_to_count(mp4):
    info = film_info(mp4)
    assert (info.frames, info.height, info.width, info.fps) == (12, 48, 64, clip_files.FPS)
    assert not info.has_audio and not info.still
    assert film_info(mp4.read_bytes()) == info


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.webm"])
def test_films_without_a_count_are_counted_by_packets(tmp_path, name):
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    assert film_info(clip_files.encode(tmp_path / name, CLIP, codec=codec)).frames == 12


def test_sound_is_seen_and_a_cover_is_no_film(tmp_path):
    assert film_info(clip_files.encode(tmp_path / "a.mp4", CLIP, sound=True)).has_audio
    with pytest.raises(UserError, match="no video stream"):
        film_info(clip_files.sound_only(tmp_path / "b.mp4"))


def test_a_gif_of_one_picture_is_a_still_and_an_mp4_is_not(tmp_path):
    from PIL import Image

    Image.fromarray(CLIP[0]).save(tmp_path / "a.gif")
    assert film_info(tmp_path / "a.gif").still
    assert not film_info(clip_files.encode(tmp_path / "a.mp4", CLIP[:1])).still


def test_a_rate_is_lowered_by_null_frames_so_that_the_duration_stays(tmp_path):
    with av.open(str(tmp_path / "a.avi"), "w") as output:
        stream = output.add_stream("mpeg4", rate=10, options={"bf": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for index in (0, 1, 2, 5, 6, 7, 8, 9):
            frame = av.VideoFrame.from_ndarray(CLIP[index], "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    info = film_info(tmp_path / "a.avi")
    assert (info.frames, info.fps) == (8, 8)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_requested_frames_have_their_numbers(mp4, threads):
    found = list(film_pictures(mp4, {2, 7}, threads=threads))
    every = dict(film_pictures(mp4))
    assert [index for index, _ in found] == [2, 7] and sorted(every) == list(range(12))
    for index, picture in found:
        np.testing.assert_array_equal(picture.rgb_HWC, every[index].rgb_HWC)


@pytest.mark.parametrize("codec, lossless", [("ffv1", True), ("libx264", False)])
def test_lossy_codecs_are_known(tmp_path, codec, lossless):
    path = clip_files.encode(tmp_path / "a.mkv", CLIP[:2], codec=codec)
    assert next(film_pictures(path))[1].lossless is lossless


def test_playlists_open_no_other_file(tmp_path, mp4):
    (tmp_path / "a.mp4").write_text(f"ffconcat version 1.0\nfile {mp4}\n")
    with pytest.raises(UserError, match="cannot be read as a video"):
        film_info(tmp_path / "a.mp4")


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(mp4, monkeypatch):
    monkeypatch.setattr(film, "MOST_PIXELS", 1000)
    with pytest.raises(UserError, match="64x48 pixels, expected at most"):
        film_info(mp4)


def test_without_libvpx_transparency_is_refused_with_what_to_do(tmp_path, monkeypatch):
    rgba = np.concatenate([CLIP[:2], np.full((2, 48, 64, 1), 90, np.uint8)], axis=-1)
    path = clip_files.encode(tmp_path / "a.webm", rgba, codec="libvpx-vp9")
    assert next(film_pictures(path))[1].alpha_HW is not None
    monkeypatch.setattr(film, "_ALPHA_DECODERS", {"vp9": "no-such-decoder"})
    with pytest.raises(UserError, match="has transparency, which this PyAV cannot decode"):
        film_info(path)


class SideData:
    """A frame as `_orientation` sees it."""

    def __init__(self, data, rotation=0):
        self._data, self.rotation = data, rotation

    @property
    def side_data(self):
        if isinstance(self._data, Exception):
            raise self._data
        return self._data


@pytest.mark.parametrize(
    "rotation, turns", [(0, 0), (90, 1), (-90, 3), (180, 2), (-180, 2), (89, 1)], ids=lambda value: str(value)
)
def test_unknown_side_data_leaves_the_angle(rotation, turns):
    found = film._orientation(SideData(ValueError("31 is not a valid Type"), rotation))
    np.testing.assert_array_equal(frame_pictures.turned(CLIP[0], found), np.rot90(CLIP[0], turns))


def test_no_display_matrix_and_an_empty_one_are_upright():
    assert film._orientation(SideData({})) == (False, False, False)
    empty = np.zeros(9, np.int32).tobytes()
    assert film._orientation(SideData({Type.DISPLAYMATRIX: empty})) == (False, False, False)


def test_damage_is_named_with_its_frame(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (90, 48, 64, 3), np.uint8)
    path = clip_files.encode(tmp_path / "a.mkv", noise, codec="mpeg4")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"(cut short|damaged), decoding stopped at frame \d+"):
        list(film_pictures(path))
    assert images.image_info(path) is None
