"""A tracker for tests: the salient part that overlaps the thing's last box most. Fast, and right in the drawn world."""

import cv2
import numpy as np

from vp_jax.curate.proposals import _saliency, _stands_out, overlap_of
from vp_jax.segment.tracking import Tracked


def track(frames, prompts):
    """As `vp_jax.segment.tracking.track`."""
    boxes = {prompt.thing: (prompt.x, prompt.y, prompt.width, prompt.height) for prompt in prompts}
    for number, frame_HWC in enumerate(frames()):
        foreground_HW = _stands_out(_saliency(frame_HWC)).astype(np.uint8)
        _, parts_HW, stats, _ = cv2.connectedComponentsWithStats(foreground_HW, connectivity=4)
        labels_HW = np.zeros(parts_HW.shape, np.uint8)
        for thing, box in boxes.items():
            near = max(range(1, len(stats)), key=lambda part: overlap_of(stats[part, :4], box), default=0)
            if near and overlap_of(stats[near, :4], box) > 0.1:
                labels_HW[parts_HW == near] = thing
                boxes[thing] = tuple(int(side) for side in stats[near, :4])
        found = {thing: float((labels_HW == thing).any()) for thing in boxes}
        yield Tracked(number, labels_HW, found, frozenset(thing for thing, seen in found.items() if not seen))
