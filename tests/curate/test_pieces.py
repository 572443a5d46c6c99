"""Pieces: the same frames, copied where that is exact, else encoded without loss."""

from fractions import Fraction

import numpy as np
import pytest

from tests.curate.drawn_sources import scene_frames
from vp_jax.curate.pieces import COPIED, ENCODED, LOSSLESS, cut_pieces
from vp_jax.curate.record import ClipRecord
from vp_jax.curate.shots import pieces_of, shots_of
from vp_jax.media.video import read_video
from vp_jax.media.video_writer import write_video

RATE = Fraction(24000, 1001)


@pytest.fixture(scope="module")
def frames():
    return scene_frames(7, 40, 48, 72)[0]


@pytest.mark.parametrize("keyframes", [10, 1])
def test_a_piece_is_exact_to_the_frame(tmp_path, frames, keyframes):
    source = tmp_path / "a.mp4"
    write_video(source, frames, RATE, keyframes=keyframes)
    source_FHWC, _ = read_video(source)
    spans, files = [(0, 10), (10, 25), (13, 40)], [tmp_path / f"piece_{number}.mp4" for number in range(3)]
    how = cut_pieces(source, spans, files, RATE)
    for (start, stop), file in zip(spans, files):
        piece_FHWC, rate = read_video(file)
        assert np.array_equal(piece_FHWC, source_FHWC[start:stop]) and rate == RATE
    assert how == [COPIED] * 3 if keyframes == 1 else COPIED in how and LOSSLESS in how


def test_pixels_that_mp4_cannot_hold_are_recorded_as_a_loss(tmp_path, frames):
    write_video(tmp_path / "rgb.mkv", frames, RATE)
    assert cut_pieces(tmp_path / "rgb.mkv", [(0, 10)], [tmp_path / "piece.mp4"], RATE) == [ENCODED]
    piece_FHWC, rate = read_video(tmp_path / "piece.mp4")
    assert rate == RATE and np.abs(piece_FHWC.astype(int) - frames[:10]).mean() < 3


def test_a_start_between_key_frames_is_encoded_without_loss(tmp_path, frames):
    write_video(tmp_path / "a.mp4", frames, RATE, keyframes=40)
    assert cut_pieces(tmp_path / "a.mp4", [(5, 20)], [tmp_path / "piece.mp4"], RATE) == [LOSSLESS]


def test_a_folder_of_images_becomes_a_video(tmp_path, frames):
    write_video(tmp_path / "images", frames, RATE)
    (how,) = cut_pieces(tmp_path / "images", [(4, 9)], [tmp_path / "piece.mp4"], RATE)
    piece_FHWC, _ = read_video(tmp_path / "piece.mp4")
    assert how == ENCODED and np.abs(piece_FHWC.astype(int) - frames[4:9]).mean() < 3


def test_shots_become_pieces_of_ten_seconds_without_short_rests():
    clip = ClipRecord("a", "a", frames=1000, fps="10", cuts=[250, 300])
    assert shots_of(clip) == [(0, 250), (250, 300), (300, 1000)]
    assert pieces_of((0, 250), clip.rate, 10.0, 6.0) == [(0, 100), (100, 200)]
    assert pieces_of((250, 300), clip.rate, 10.0, 6.0) == []
    assert pieces_of((300, 465), clip.rate, 10.0, 6.0) == [(300, 400), (400, 465)]
    assert pieces_of((0, 300), Fraction(30000, 1001), 10.0, 6.0)[0] == (0, 299)
