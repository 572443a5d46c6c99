"""What a video's numbers mean as light, and the SDR picture that a model sees: PQ, HLG and wide gamuts, and back.

    signal  ->  display light of the source  ->  tone curve  ->  BT.709 primaries  ->  SDR signal, gamma 2.4

* PQ: SMPTE ST 2084, absolute light up to 10,000 cd/m2. HLG: ARIB STD-B67 with the system gamma 1.2 of a display of
  1,000 cd/m2 (ITU-R BT.2100, table 5).
* Tone curve: the EETF of ITU-R BT.2390 (section "Mapping to displays with limited dynamic range"), a Hermite spline in
  PQ, applied to each of R, G and B. It maps the peak of the mastering display (1,000 cd/m2 if the file names none) to
  SDR white, which stands for HDR reference white, 203 cd/m2 (ITU-R BT.2408).
* Primaries: BT.2020 to BT.709 in linear light (ITU-R BT.2087); colours outside of BT.709 are clipped.

Every stage can be inverted, up to the clipping: what is generated returns by the inverse. Near white the tone curve is
flat, so its inverse is steep there: one level of 8-bit SDR may be many levels of the source.
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import numpy as np

PQ, HLG = 16, 18
"""Transfer characteristics (ITU-T H.273, table 3)."""
WIDE = 9
"""Primaries of BT.2020 (ITU-T H.273, table 2)."""

_WHITE, _PEAK, _MOST = 203.0, 1000.0, 10_000.0  # cd/m2
_M1, _M2 = 2610 / 16384, 2523 / 32
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_GAMMA, _SYSTEM_GAMMA = 2.4, 1.2
_LUMINANCE = np.array([0.2627, 0.678, 0.0593], np.float32)
_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)  # BT.2407, from BT.2020
_TO_BT2020 = np.linalg.inv(_TO_BT709.astype(np.float64)).astype(np.float32)
_CODES = 1 << 16


class DisplayLight(NamedTuple):
    """How a video that is not plain SDR is shown.

    Attributes:
      transfer: of the signal; "gamma" is SDR of another gamut.
      wide: BT.2020 primaries.
      peak: of the mastering display in cd/m2.
    """

    transfer: Literal["pq", "hlg", "gamma"]
    wide: bool
    peak: float = _PEAK

    def to_sdr(self, signal_HWC: np.ndarray) -> np.ndarray:
        """BT.709 SDR, uint8, of a signal uint16 over its full range."""
        if self.transfer == "hlg":
            shown_HWC = _table_of(self)[_code(_pq_signal(_hlg_light(signal_HWC.astype(np.float32) / (_CODES - 1))))]
        else:
            shown_HWC = _table_of(self)[signal_HWC]
        if self.wide:
            shown_HWC = shown_HWC @ _TO_BT709.T
        np.clip(shown_HWC, 0, 1, out=shown_HWC)
        return np.asarray(np.rint(255 * shown_HWC ** np.float32(1 / _GAMMA)), np.uint8)

    def from_sdr(self, sdr_HWC: np.ndarray) -> np.ndarray:
        """The signal, float32 [0, 1], of BT.709 SDR, uint8: the inverse of `to_sdr`."""
        shown_HWC = (np.arange(256, dtype=np.float32) / 255)[sdr_HWC] ** np.float32(_GAMMA)
        if self.wide:
            shown_HWC = np.clip(shown_HWC @ _TO_BT2020.T, 0, 1)
        if self.transfer == "gamma":
            gamma_HWC: np.ndarray = shown_HWC ** np.float32(1 / _GAMMA)
            return gamma_HWC
        pq_HWC = _inverse_curve(_pq_signal(shown_HWC * _WHITE), self.peak)
        return pq_HWC if self.transfer == "pq" else _hlg_signal(_pq_light(pq_HWC))


def light_of(transfer: int, primaries: int, peak: float | None = None) -> DisplayLight | None:
    """How a video of these tags is shown; None for what is SDR already. ``peak`` counts for PQ, above SDR white."""
    wide = primaries == WIDE
    if transfer == PQ:
        return DisplayLight("pq", wide, peak if peak and peak > _WHITE else _PEAK)
    if transfer == HLG:
        return DisplayLight("hlg", wide)
    return DisplayLight("gamma", wide) if wide else None


@functools.lru_cache(maxsize=8)
def _table_of(light: DisplayLight) -> np.ndarray:
    """Linear light of a display, SDR white = 1, for each 16-bit code: of the signal itself, in PQ for HLG."""
    codes = np.arange(_CODES, dtype=np.float64) / (_CODES - 1)
    if light.transfer == "gamma":
        return (codes**_GAMMA).astype(np.float32)
    return (_pq_light(_curve(codes, light.peak)) / _WHITE).astype(np.float32)


def _code(signal: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(np.clip(signal, 0, 1) * (_CODES - 1)), np.uint16)


def _pq_light(signal: np.ndarray) -> np.ndarray:
    """cd/m2 of a PQ signal (ST 2084, equation 4.1)."""
    root = np.maximum(signal, 0) ** (1 / _M2)
    light: np.ndarray = _MOST * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1)
    return light


def _pq_signal(light: np.ndarray) -> np.ndarray:
    """PQ signal of cd/m2 (ST 2084, equation 5.2)."""
    power = (np.maximum(light, 0) / _MOST) ** _M1
    signal: np.ndarray = ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
    return signal


def _hlg_light(signal_HWC: np.ndarray) -> np.ndarray:
    """cd/m2 of an HLG signal on a display of 1,000 cd/m2 (BT.2100, inverse OETF and OOTF)."""
    scene_HWC = np.where(
        signal_HWC <= 0.5, signal_HWC**2 / 3, (np.exp((signal_HWC - _HLG_C) / _HLG_A) + _HLG_B) / 12
    ).astype(np.float32)
    scene_HW1 = (scene_HWC @ _LUMINANCE)[..., None]
    light_HWC: np.ndarray = _PEAK * scene_HW1 ** np.float32(_SYSTEM_GAMMA - 1) * scene_HWC
    return light_HWC


def _hlg_signal(light_HWC: np.ndarray) -> np.ndarray:
    """HLG signal of cd/m2: the inverse of `_hlg_light`."""
    shown_HWC = np.maximum(light_HWC / _PEAK, 0).astype(np.float32)
    shown_HW1 = np.maximum(shown_HWC @ _LUMINANCE, 1e-9)[..., None]
    scene_HWC = np.clip(shown_HWC * shown_HW1 ** np.float32(1 / _SYSTEM_GAMMA - 1), 0, 1)
    high_HWC = _HLG_A * np.log(np.maximum(12 * scene_HWC - _HLG_B, 1e-9)) + _HLG_C
    signal_HWC: np.ndarray = np.where(scene_HWC <= 1 / 12, np.sqrt(3 * scene_HWC), high_HWC)
    return signal_HWC


def _curve(signal: np.ndarray, peak: float) -> np.ndarray:
    """PQ signal of an SDR display for one of the source: the EETF of BT.2390 with black at 0."""
    top = float(_pq_signal(np.array(peak)))
    most = float(_pq_signal(np.array(_WHITE))) / top
    knee = 1.5 * most - 0.5
    given = np.clip(signal / top, 0, 1)
    t = np.maximum(given - knee, 0) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return top * np.where(given < knee, given, spline)


def _inverse_curve(signal: np.ndarray, peak: float) -> np.ndarray:
    top = float(_pq_signal(np.array(peak)))
    given = np.linspace(0, top, _CODES)
    return np.asarray(np.interp(signal, _curve(given, peak), given), np.float32)
