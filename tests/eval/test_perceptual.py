"""LPIPS of clips: regions, frames without a hole, and the released columns."""

import numpy as np
import pytest

from tests.eval.made_clips import made_clip, results_of
from tests.eval.small_networks import lpips_network
from vp_jax.eval.scores import SCORES, Meters

CLIP = made_clip(frames=3)
RESULTS = results_of(CLIP)


def measured(result_FHWC, *names, holes_FHW=CLIP.holes_FHW):
    meters = Meters([SCORES[name] for name in names], networks={"lpips_squeeze": lpips_network()})
    meters.update(result_FHWC, CLIP.truth_FHWC, holes_FHW)
    return meters.values()


@pytest.mark.slow
def test_regions_do_not_look_at_each_other():
    values = measured(RESULTS["object"], *(f"lpips_squeeze{place}" for place in ("", "_outside", "_hole")))
    assert values["lpips_squeeze_outside"] == pytest.approx(0, abs=1e-9)
    assert values["lpips_squeeze_hole"] > 0
    assert values["lpips_squeeze"] > 0
    hole = measured(RESULTS["background"], "lpips_squeeze_hole")["lpips_squeeze_hole"]
    assert hole == pytest.approx(0, abs=1e-9)


def test_frames_without_a_hole_are_left_out():
    holes = CLIP.holes_FHW.copy()
    holes[1:] = False
    first = measured(RESULTS["object"], "lpips_squeeze_hole", holes_FHW=holes)["lpips_squeeze_hole"]
    assert first > 0
    assert np.isnan(measured(RESULTS["object"], "lpips_squeeze_hole", holes_FHW=holes & False)["lpips_squeeze_hole"])


def test_the_released_masked_column_does_not_depend_on_the_hole():
    names = ("reference_masked_lpips", "reference_lpips")
    perfect, kept = measured(RESULTS["perfect"], *names), measured(RESULTS["object"], *names)
    assert perfect["reference_masked_lpips"] == pytest.approx(kept["reference_masked_lpips"]) and (
        perfect["reference_masked_lpips"] > 0.0
    )
    assert perfect["reference_lpips"] < kept["reference_lpips"]
