"""What is measured of the hole agrees with the functions for videos in memory."""

import json

import numpy as np
import pytest

from vp_jax.eval.continuity import continuity_of
from vp_jax.jobs.report.measured import HoleMeter, hole_box

FRAMES = np.random.default_rng(0).integers(0, 256, (13, 12, 16, 3), np.uint8)
HOLES = np.zeros((13, 12, 16), bool)
HOLES[1:, 2:7, 4:11] = True


@pytest.fixture
def meter():
    meter = HoleMeter([0, 4, 8], 1)
    for frame_HWC, hole_HW in zip(FRAMES, HOLES):
        meter.add(frame_HWC, hole_HW)
    return meter


def test_the_record_holds_the_numbers_of_continuity(meter):
    truth, record = continuity_of(FRAMES, HOLES, [0, 4, 8], 1), meter.record
    assert record["flicker"] == pytest.approx(truth.flicker, abs=1e-3)
    assert record["colour_drift"] == pytest.approx(truth.colour_drift, abs=1e-3)
    assert [seam["frame"] for seam in record["seams"]] == [4, 8]
    np.testing.assert_allclose([seam["jump"] for seam in record["seams"]], truth.seam_K[1:], atol=1e-3)
    assert record["change"][:2] == [None, None]
    np.testing.assert_allclose(record["change"][2:], truth.change_F[2:], atol=1e-3)


def test_colour_area_and_box_of_each_frame(meter):
    assert meter.boxes == [None] + [(4, 2, 7, 5)] * 12
    assert meter.areas == pytest.approx([0] + [35 / 192] * 12)
    np.testing.assert_allclose(meter.record["colour"][3], FRAMES[3][HOLES[3]].mean(axis=0), atol=1e-3)
    assert meter.record["colour"][0] is None


def test_the_record_is_strict_json_also_without_a_hole():
    meter = HoleMeter([0, 4], 1)
    for frame_HWC in FRAMES[:6]:
        meter.add(frame_HWC, np.zeros((12, 16), bool))
    text = json.dumps(meter.record, allow_nan=False)
    assert json.loads(text)["flicker"] is None and json.loads(text)["window_colour"] == [None, None]


def test_the_box_of_a_pixel():
    hole = np.zeros((5, 9), bool)
    assert hole_box(hole) is None
    hole[3, 7] = True
    assert hole_box(hole) == (7, 3, 1, 1)
