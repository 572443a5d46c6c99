"""HDR is shown as SDR by the published curves, and what is generated returns to where it was."""

import numpy as np
import pytest

from vp_jax.media.pixels import light
from vp_jax.media.pixels.light import HLG, PQ, WIDE, light_of

CASES = [light_of(PQ, WIDE), light_of(PQ, 1), light_of(PQ, WIDE, 4000.0), light_of(HLG, WIDE), light_of(1, WIDE)]


def test_sdr_of_ordinary_primaries_is_left_alone():
    assert light_of(1, 1) is None and light_of(2, 2) is None and light_of(13, 12) is None


@pytest.mark.parametrize("signal, nits", [(0.0, 0.0), (0.508, 100.0), (0.581, 203.0), (0.751, 1000.0), (1.0, 10_000.0)])
def test_pq_is_that_of_st_2084(signal, nits):
    """Points of ITU-R BT.2408, table 1, and the ends of the scale."""
    assert float(light._pq_light(np.array(signal))) == pytest.approx(nits, rel=0.01, abs=0.01)
    assert float(light._pq_signal(np.array(nits))) == pytest.approx(signal, abs=1e-3)


@pytest.mark.parametrize("signal, nits", [(0.75, 203.0), (1.0, 1000.0), (0.0, 0.0)])
def test_hlg_is_that_of_bt_2100(signal, nits):
    """Reference white is at 75 %, the peak of the display at 100 %."""
    grey = np.full((1, 1, 3), signal, np.float32)
    assert light._hlg_light(grey)[0, 0, 0] == pytest.approx(nits, rel=0.01, abs=0.01)


def test_the_tone_curve_keeps_what_is_dark_and_ends_at_white():
    dark = light._pq_signal(np.array([0.1, 1.0, 10.0, 50.0]))
    np.testing.assert_allclose(light._curve(dark, 1000.0), dark, atol=1e-6)
    top = light._pq_light(light._curve(light._pq_signal(np.array([1000.0, 5000.0])), 1000.0))
    np.testing.assert_allclose(top, 203.0, rtol=1e-6)
    rising = light._curve(np.linspace(0, 1, 5000), 1000.0)
    assert (np.diff(rising) >= 0).all()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sdr_returns_through_the_source_of_ten_bits(case):
    values = np.random.default_rng(0).integers(24, 232, (2000, 3)).astype(np.uint8).reshape(40, 50, 3)
    signal = case.from_sdr(values)
    assert signal.min() >= 0 and signal.max() <= 1
    stored = np.rint(signal * 1023) / 1023
    back = case.to_sdr(np.rint(stored * 65535).astype(np.uint16)).astype(int)
    away = np.abs(back - values)
    assert away.mean() < 0.2 and away.max() <= 8  # dark, saturated colours have few codes


@pytest.mark.parametrize("case", CASES, ids=str)
def test_black_grey_and_white_stay_grey(case):
    greys = np.repeat(np.array([0, 30, 128, 200, 255], np.uint8)[None, :, None], 3, axis=2)
    back = case.to_sdr(np.rint(case.from_sdr(greys) * 65535).astype(np.uint16)).astype(int)
    assert np.abs(back - greys).max() <= 2
    assert np.ptp(back, axis=-1).max() <= 1


def test_wide_colours_are_clipped_not_folded():
    green = np.zeros((1, 1, 3), np.uint16)
    green[..., 1] = 60_000
    shown = light_of(1, WIDE).to_sdr(green)[0, 0]
    assert shown[0] == 0 and shown[1] > 230 and shown[2] == 0
