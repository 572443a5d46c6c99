"""The released CLIP columns: what their processor shows to the model."""

import numpy as np
import pytest

from tests.eval.made_clips import made_clip, results_of
from tests.eval.small_networks import clip_network
from tests.torchvision_ops import transformers
from vp_jax.eval.reference_text import middle_square, squashed
from vp_jax.eval.scores import SCORES, ClipFacts, Meters

CLIP = made_clip(frames=3)
RESULTS = results_of(CLIP)
FACTS = ClipFacts("the red cat", "cat")


def test_frames_are_processed_as_by_transformers():
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    theirs = processor(list(CLIP.truth_FHWC), return_tensors="np")["pixel_values"].transpose(0, 2, 3, 1)
    ours = np.asarray(middle_square(CLIP.truth_FHWC, 32))
    level = 1 / 255 / 0.26
    # theirs is rounded to levels after rows and after columns
    assert np.abs(ours - theirs).max() < 1.5 * level and np.abs(ours - theirs).mean() < 0.5 * level


def test_squashed_frames_stay_in_their_range():
    seen = np.asarray(squashed(CLIP.truth_FHWC, 32))
    assert seen.shape == (3, 32, 32, 3) and seen.min() >= 0 and seen.max() <= 1


@pytest.mark.slow
def test_masked_columns_see_the_hole_alone(tmp_path):
    network = clip_network(tmp_path)
    names = ["reference_masked_clip_score", "reference_masked_region_clip_score"]
    names += ["reference_masked_temporal_consistency", "reference_temporal_consistency", "reference_clip_score"]
    values = {}
    for result in ("perfect", "background"):
        meters = Meters([SCORES[name] for name in names], FACTS, {"clip_vit_l14": network, "clip_vit_b32": network})
        for part in (slice(0, 1), slice(1, 3)):
            meters.update(RESULTS[result][part], CLIP.truth_FHWC[part], CLIP.holes_FHW[part])
        values[result] = meters.values()
    for name in names[:3]:
        assert values["perfect"][name] == pytest.approx(values["background"][name], rel=1e-5)
    assert values["perfect"]["reference_temporal_consistency"] != values["background"]["reference_temporal_consistency"]
