"""Scene cuts are found where a film goes on with another picture, and nowhere else."""

import numpy as np
import pytest

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media.cuts import CutFinder, check_cuts, cuts_text, find_cuts, parsed_cuts
from vp_jax.media.video import stream_video


def shot(seed, frames=24, height=90, width=160):
    """A picture with structure that pans."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 10, width // 5, 3), np.uint8)
    picture_HWC = coarse.repeat(10, axis=0).repeat(10, axis=1)
    return np.stack([picture_HWC[:, 2 * number : 2 * number + width] for number in range(frames)])


FILM = np.concatenate([shot(0), shot(1, 31), shot(2)])


def test_the_cuts_of_a_stitched_film_are_found():
    assert find_cuts(FILM) == (24, 55)


@pytest.mark.parametrize("frames", [shot(3, 60), np.zeros((40, 32, 48, 3), np.uint8), FILM[:1]])
def test_a_shot_that_moves_or_stands_still_has_none(frames):
    assert find_cuts(frames) == ()


def test_flashes_begin_no_shot_of_their_own():
    flashing = FILM[:24].copy()
    flashing[10] = 255
    assert 10 not in find_cuts(flashing)[1:] and len(find_cuts(flashing)) <= 1


def test_cuts_are_found_while_a_film_is_counted(tmp_path):
    film = clip_files.encode(tmp_path / "film.mp4", FILM)
    finder = CutFinder()
    stream_video(film, start=4, seen=finder.add)
    assert finder.cuts == (20, 51)


def test_a_user_asks_in_words_or_numbers():
    assert parsed_cuts("auto") is None and parsed_cuts("off") == () and parsed_cuts("48,120") == (48, 120)
    for text in ("", "on", "4,x", "-4", "4,,5"):
        with pytest.raises(UserError, match="expected auto, off, or the frames that begin a shot"):
            parsed_cuts(text)
    for text in ("0", "5,5", "9,4"):
        with pytest.raises(UserError, match="ascend from 1 on"):
            parsed_cuts(text)
    with pytest.raises(UserError, match="cuts 4,9: the video has frames 0 to 8"):
        check_cuts((4, 9), 9)


def test_of_many_cuts_the_first_are_listed():
    assert cuts_text((3, 9)) == "3, 9" and cuts_text(range(1, 20), most=2) == "1, 2 and 17 more"
