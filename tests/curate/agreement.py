"""How well the masks of a run agree with the truth of a drawn world.

    python -m tests.curate.agreement OUT TRUTH.npz

J is the intersection over union of a mask and the true thing, over all frames of a clip together. A mask is compared
with the true thing that it agrees with best.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vp_jax.media.labels import LabelMap


class Agreement(NamedTuple):
    """A masked thing: its clip and label, the true label that it agrees with best, and J in [0, 1]."""

    clip: str
    thing: int
    true: int
    j: float


def region_j(mask_FHW: np.ndarray, truth_FHW: np.ndarray) -> float:
    """Intersection over union of two masks; 1 if both are empty."""
    union = np.count_nonzero(mask_FHW | truth_FHW)
    return np.count_nonzero(mask_FHW & truth_FHW) / union if union else 1.0


def agreements(root: Path, truth: Mapping[str, np.ndarray]) -> list[Agreement]:
    """One for every masked thing of a run's clips of the drawn world."""
    found = []
    for line in (root / "provenance.jsonl").read_text().splitlines():
        clip = json.loads(line)
        start, stop = clip["frames"]
        if clip["source"] not in truth:
            continue
        true_FHW = truth[clip["source"]][start:stop]
        file = root / "vpdata/video_inpainting/videovo" / clip["number"] / "all_masks.npz"
        labels_FHW = np.stack([labels.copy() for labels in LabelMap(file).frames()])
        for thing in map(int, clip["things"]):
            pairs = [(region_j(labels_FHW == thing, true_FHW == true), true) for true in range(1, true_FHW.max() + 1)]
            best, true = max(pairs)
            found.append(Agreement(clip["clip"], thing, true, best))
    return found


if __name__ == "__main__":
    with np.load(sys.argv[2]) as known:
        table = agreements(Path(sys.argv[1]), dict(known))
    for row in table:
        print(f"{row.clip:<24}{row.thing:>4}{row.true:>4}{row.j:>8.3f}")
    values = [row.j for row in table]
    good = np.mean(np.array(values) > 0.5)
    print(f"{len(values)} masks: mean J {np.mean(values):.3f}, median {np.median(values):.3f}, over 0.5 {good:.0%}")
