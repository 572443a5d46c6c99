"""How well the default backend tracks masks: region J, contour F and processor time per frame, against known truth.

    python -m bench.masks                                        the drawn world, both looks
    python -m bench.masks --davis FRAMES TRUTH                    a clip of DAVIS: its two folders
    python -m bench.masks --words                                also things found by their colour word

Each thing is prompted once, by the bounds of its truth in the first frame. J and F as DAVIS defines them, without its
rule that leaves out the first and the last frame. The drawn world is of seeds that nothing else uses.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from vp_jax.media.masks import read_masks
from vp_jax.media.video import read_video
from vp_jax.segment.agreement import contour_f, region_j
from vp_jax.segment.prompts import AnyPrompt, Box, Words
from vp_jax.segment.thing import bounds
from vp_jax.segment.tracking import track
from vp_jax.world.looks import LOOKS, make_scene, render
from vp_jax.world.scene import thing_caption
from vp_jax.world.synthetic import HELD_OUT, masked_thing

FIRST_SEED = HELD_OUT + 7_000_000
FRAMES, HEIGHT, WIDTH = 33, 240, 360


class Score(NamedTuple):
    """Of one clip: J and F of each frame, frames that the backend called lost, processor seconds per frame."""

    name: str
    j_F: np.ndarray
    f_F: np.ndarray
    lost: int
    seconds: float

    def line(self) -> str:
        """A row of the table."""
        worst, at = self.j_F.min(), int(self.j_F.argmin())
        return (
            f"| {self.name} | {len(self.j_F)} | {self.j_F.mean():.3f} | {self.f_F.mean():.3f} | "
            f"{worst:.2f} (frame {at}) | {self.lost} | {1000 * self.seconds:.0f} |"
        )


def scored(name: str, frames: Sequence[np.ndarray], truth: Sequence[np.ndarray], prompts: list[AnyPrompt]) -> Score:
    """Track and compare with the truth, bool (H, W) for each frame."""
    j, f, lost, start = [], [], 0, time.process_time()
    spent = 0.0
    for found in track(lambda: iter(frames), prompts):
        spent += time.process_time() - start
        j.append(region_j(found.labels_HW == 1, truth[found.frame]))
        f.append(contour_f(found.labels_HW == 1, truth[found.frame]))
        lost += bool(found.lost)
        start = time.process_time()
    return Score(name, np.array(j), np.array(f), lost, spent / len(j))


def box_of(mask_HW: np.ndarray) -> Box:
    """The bounds of a mask as a prompt."""
    part = bounds(mask_HW)
    height, width = part.shape
    return Box(part.columns.start, part.rows.start, width, height)


def drawn(look: str, clips: int, *, words: bool) -> Iterator[Score]:
    """Scores of scenes of the drawn world."""
    for seed in range(FIRST_SEED, FIRST_SEED + clips):
        scene = make_scene(seed, look)
        rendered, thing = render(scene, np.arange(FRAMES), HEIGHT, WIDTH), masked_thing(scene, seed)
        truth = rendered.labels_FHW == thing + 1
        if truth[0].sum() < 40:
            continue
        prompts: list[AnyPrompt] = [Words(thing_caption(scene, thing))] if words else [box_of(truth[0])]
        name = f"{look} {seed - HELD_OUT}"
        yield scored(f"{name} {thing_caption(scene, thing)!r}" if words else name, rendered.frames_FHWC, truth, prompts)


def table(scores: list[Score], title: str) -> None:
    """Print rows and their mean."""
    print("| clip | frames | J | F | lowest J | called lost | CPU ms per frame |\n|---|---|---|---|---|---|---|")
    for score in scores:
        print(score.line())
    j, f = np.mean([s.j_F.mean() for s in scores]), np.mean([s.f_F.mean() for s in scores])
    print(f"| **{title}, {len(scores)} clips** | | **{j:.3f}** | **{f:.3f}** | | | |\n", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis", nargs=2, type=Path, metavar=("FRAMES", "TRUTH"), help="folders of a DAVIS clip")
    parser.add_argument("--clips", type=int, default=12, help="scenes of each look; 0: none")
    parser.add_argument("--words", action="store_true", help="prompt the drawn world by captions as well")
    parser.add_argument("--per_frame", action="store_true", help="print J and F of every frame of the DAVIS clip")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    if args.davis:
        frames_FHWC, truth = read_video(args.davis[0])[0], read_masks(args.davis[1])
        score = scored(args.davis[0].name, frames_FHWC, truth, [box_of(truth[0])])
        table([score], "DAVIS")
        if args.per_frame:
            for number, (j, f) in enumerate(zip(score.j_F, score.f_F)):
                print(f"{number:3d}  J {j:.3f}  F {f:.3f}")
    for look in LOOKS if args.clips else ():
        table([*drawn(look, args.clips, words=False)], f"{look}, box")
        if args.words:
            table([*drawn(look, args.clips, words=True)], f"{look}, words")


if __name__ == "__main__":
    main()
