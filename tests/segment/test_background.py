import cv2
import numpy as np

from vp_jax.segment.background import Background, Region
from vp_jax.segment.views import with_neighbours


def panned(count=20, step=2):
    """A chequered square that stays in the middle of a picture whose textured ground moves by; and its mask."""
    noise = np.random.default_rng(1).integers(0, 255, (120, 400, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    ground = np.clip((smooth - 127) * 12 + 127, 0, 255).astype(np.uint8)
    pattern = np.kron((np.indices((4, 4)).sum(0) % 2)[..., None], np.ones((4, 4, 3))) * 60 + 90
    frames = [ground[:, 60 + step * number : 240 + step * number].copy() for number in range(count)]
    for frame_HWC in frames:
        frame_HWC[52:68, 82:98] = pattern
    mask_HW = np.zeros((120, 180), bool)
    mask_HW[52:68, 82:98] = True
    return frames, mask_HW


def evidence(frames, number, mask_HW):
    part, around_HW = Region(slice(35, 85), slice(65, 115)), np.zeros_like(mask_HW)
    around_HW[part] = True
    window = next(one for one in with_neighbours(frames, 9) if one.now.number == number)
    return Background().evidence(window, part, around_HW, mask_HW), mask_HW[part]


def test_what_stays_while_the_ground_moves_stands_out():
    frames, mask_HW = panned()
    odds, inside = evidence(frames, 10, mask_HW)
    assert odds[inside].mean() > 1 and (odds[~inside] < 0).mean() > 0.95
    assert np.abs(odds).max() <= 4


def test_nothing_is_known_of_a_thing_that_moves_with_its_ground():
    frames, mask_HW = panned(step=0)
    odds, inside = evidence(frames, 10, mask_HW)
    assert np.abs(odds[inside]).max() == 0 and odds[~inside].mean() < -1


def test_a_frame_without_neighbours_has_no_evidence():
    frames, mask_HW = panned(count=1)
    odds, _ = evidence(frames, 0, mask_HW)
    assert not odds.any()


def test_parts_grow_inside_a_picture_and_lie_in_each_other():
    part = Region(slice(2, 10), slice(20, 30))
    wide = part.grown(5, (12, 33))
    assert wide == Region(slice(0, 12), slice(15, 33)) and wide.shape == (12, 18)
    assert part.within(wide) == Region(slice(2, 10), slice(5, 15))
