"""Regions of a frame."""

import numpy as np
import pytest

from vp_jax.eval.regions import REGIONS, RIM_WIDTH, grown, region
from vp_jax.media.masks import dilate

HOLES = np.zeros((2, 40, 50), bool)
HOLES[0, 10:30, 12:33] = True
HOLES[1, 0:3, 45:50] = True


@pytest.mark.parametrize("radius", [0, 1, 5, 8])
def test_growing_adds_the_same_pixels_as_for_masks(radius):
    np.testing.assert_array_equal(grown(HOLES, radius), dilate(HOLES, radius))


def test_regions_are_what_they_are_called():
    whole, outside, hole, rim = (np.asarray(region(HOLES, name)) for name in REGIONS)
    assert whole.all() and (outside == ~HOLES).all() and (hole == HOLES).all()
    assert rim[0, 10 - RIM_WIDTH, 20] and not rim[0, 10 - RIM_WIDTH - 1, 20]
    assert rim[0, 10 + RIM_WIDTH - 1, 20] and not rim[0, 10 + RIM_WIDTH, 20]


def test_an_unknown_region_is_refused():
    with pytest.raises(ValueError, match="region 'edge'"):
        region(HOLES, "edge")
