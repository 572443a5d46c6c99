"""What must be better, on results made from a clip with a hole: of both protocols.

    python -m tests.eval.orderings VIDEO MASK [FRAMES]

checks it on any clip, and prints every score of every result.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping

import numpy as np

from tests.eval.made_clips import Made, results_of
from tests.eval.small_networks import lpips_network
from vp_jax.eval.scores import SCORES, ClipFacts, Meters, scores_of
from vp_jax.media.masks import align, read_masks
from vp_jax.media.video import read_video

NETWORKS = {"lpips_squeeze": lpips_network}

# score, results from better to worse
CORRECT = [
    ("psnr", "perfect", "blurred", "object"),
    ("psnr_outside", "perfect", "background"),
    ("psnr_hole", "blurred", "object"),
    ("psnr_rim", "perfect", "blurred"),
    ("ssim_hole", "perfect", "flickering", "object"),
    ("ssim_outside", "object", "background"),
    ("mse_hole", "perfect", "flickering", "object"),
    ("mae_outside", "object", "background"),
    ("lpips_squeeze", "perfect", "object"),
    ("lpips_squeeze_outside", "object", "background"),
    ("sharpness_hole", "shifted", "blurred", "object"),
    ("exclusivity", "object", "background"),
    ("flicker_hole", "perfect", "blurred", "flickering"),
    ("flicker_outside", "flickering", "background"),
    ("warping_error_dis_hole", "perfect", "flickering"),
]
EQUAL_TO_PERFECT = {
    "background": ["psnr_hole", "ssim_hole", "lpips_squeeze_hole", "sharpness_hole", "flicker_hole"],
    "object": ["psnr_outside", "ssim_outside", "lpips_squeeze_outside", "exclusivity", "sharpness_outside"],
}


BLIND = ("psnr", "ssim", "mse", "mae", "lpips")
"""Columns of the released program that cannot tell a kept object from a perfect result, once masked."""

Values = Mapping[str, Mapping[str, float]]
"""Scores by name, by the name of the result."""


def measured(clip: Made) -> Values:
    """All scores that need no trained weights, of every made result; LPIPS has random ones."""
    networks = {name: make() for name, make in NETWORKS.items()}
    scores = [s for p in ("correct", "reference") for s in scores_of(p, weights=networks)]
    found = {}
    for name, result_FHWC in results_of(clip).items():
        meters = Meters(scores, ClipFacts(starts=(0, 4), overlap=1), networks)
        for frame in range(0, len(result_FHWC), 8):
            part = slice(frame, frame + 8)
            meters.update(result_FHWC[part], clip.truth_FHWC[part], clip.holes_FHW[part])
        found[name] = meters.values()
    return found


def ordered(values: Values, name: str, results: tuple[str, ...]) -> bool:
    """Whether results, from better to worse, have better scores."""
    sign = 1 if SCORES[name].better == "higher" else -1
    scores = [sign * values[result][name] for result in results]
    return all(a > b for a, b in itertools.pairwise(scores))


def faults(values: Values) -> Iterator[str]:
    """Everything that should hold and does not, in a line each."""
    for name, *results in CORRECT:
        if not ordered(values, name, tuple(results)):
            yield f"{name}: expected {' better than '.join(results)}"
    for result, names in EQUAL_TO_PERFECT.items():
        for name in names:
            if abs(values[result][name] - values["perfect"][name]) > 1e-6:
                yield f"{name}: {result} is not equal to perfect"
    for name in (f"reference_masked_{column}" for column in BLIND):
        if not np.isclose(values["object"][name], values["perfect"][name], rtol=1e-6):
            yield f"{name}: tells a kept object from a perfect result"


def main(video: str, mask: str, frames: int = 16) -> int:
    """Measure a clip of files; the number of faults."""
    truth_FHWC, _ = read_video(video, stop=frames, folder_fps=8)
    count, height, width = truth_FHWC.shape[:3]
    holes_FHW = np.asarray(align(read_masks(mask, stop=frames), frames=count, height=height, width=width))
    values = measured(Made(truth_FHWC, holes_FHW))
    print(f"{'score':<34}" + "".join(f"{result:>12}" for result in values))
    for name in values["perfect"]:
        print(f"{name:<34}" + "".join(f"{values[result][name]:>12.4f}" for result in values))
    found = list(faults(values))
    print(*found, sep="\n")
    print(f"{len(CORRECT)} orderings of {len(truth_FHWC)} frames of {video}: {len(found)} faults")
    return len(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3], *map(int, sys.argv[3:4])))
