"""What to do about a hole, measured on held-out drawn clips, whose truth is known exactly.

    python -m bench.holes remove --clips 24     growth and prompts of a removal
    python -m bench.holes blend --clips 24      growth of a described hole, and feather
    python -m bench.holes fit --clips 24        stretch, letterbox or crop
    python -m bench.holes extend --clips 24     feather of an extended picture

Removals and blends are scored on the same two regions in all their rows: the thing with its shadow, and a wide one
around it, where growing pays for the kept pixels that it gives up. "exact" masks end where the thing and its shadow
end; "tight" ones are one pixel of the model smaller on each side, as masks of trackers are.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.ablation import arguments, setup_of
from bench.nano.batched import BatchSampler
from bench.nano.cases import HEIGHT, WIDTH, WINDOW
from bench.nano.runner import Setup
from bench.nano.variants import SHIPPED, Variant
from bench.timing import machine
from vp_jax.cli.program import run_cli
from vp_jax.eval import video_metrics
from vp_jax.eval.bootstrap import interval
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.task import BACKGROUND, NOT_BACKGROUND
from vp_jax.jobs import compile_cache
from vp_jax.jobs.progress import Progress
from vp_jax.media.canvas import composite
from vp_jax.media.extend import Border
from vp_jax.media.fit import Fit, fit_of
from vp_jax.media.masks import dilate
from vp_jax.vpbench.drawn import EDIT_SEEDS
from vp_jax.world.edit import edit, edit_masks
from vp_jax.world.scene import caption
from vp_jax.world.synthetic import HELD_OUT, make_scene, masked_thing, render

GROWTHS = (0, 1, 2, 4, 8)
"""Pixels at 64 x 96."""
WIDE = 8
"""Pixels by which the wide region is larger than the thing."""
FEATHERS = (0, 1, 2, 4)
REMOVED = EDIT_SEEDS + 500_000


Scores = dict[str, dict[str, list[float]]]
"""PSNR of each clip, by row and region."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """One way to fill the hole of one clip.

    Attributes:
      row: of the table.
      clip: number.
      source_FHWC, truth_FHWC: uint8, of any size.
      holes_FHW: bool, True = generated.
      regions: where the result is compared with the truth, bool (F, H, W), by name.
      fit: to the model's frames.
      prompt, negative: what the result shows, and does not.
      feathers: of the paste; each makes a row of its own. None: no feather.
    """

    row: str
    clip: int
    source_FHWC: np.ndarray
    truth_FHWC: np.ndarray
    holes_FHW: np.ndarray
    regions: Mapping[str, np.ndarray]
    fit: Fit
    prompt: str
    negative: str = ""
    feathers: tuple[int, ...] | None = None


def removals(clips: int) -> Iterator[Trial]:
    """Removals by growth of exact and of tight masks, and by prompt."""
    for clip, (before, after, thing_FHW, alone) in enumerate(_removed(clips)):
        told, background = caption(after[0]), caption(dataclasses.replace(after[0], things=()))
        tight_FHW, default = ~dilate(~thing_FHW, 1), "tight, grown by 3"
        hole_FHW = dilate(tight_FHW, 3)
        ways = [(f"exact, grown by {growth}", dilate(thing_FHW, growth), told, "") for growth in GROWTHS]
        ways += [(f"tight, grown by {growth}", dilate(tight_FHW, growth), told, "") for growth in GROWTHS]
        ways += [
            (f"{default}, prompt: none", hole_FHW, "", ""),
            (f"{default}, prompt: {BACKGROUND!r}", hole_FHW, BACKGROUND, ""),
            (f"{default}, prompt: the background's caption", hole_FHW, background, ""),
            (f"{default}, not: the thing", hole_FHW, told, alone),
            (f"{default}, prompt: {BACKGROUND!r}, not: the thing", hole_FHW, BACKGROUND, alone),
            (f"{default}, prompt and negative prompt of a removal", hole_FHW, BACKGROUND, NOT_BACKGROUND),
        ]
        regions = {"the thing": thing_FHW, "around it too": dilate(thing_FHW, WIDE)}
        for row, marked_FHW, prompt, negative in ways:
            fit = fit_of("stretch", marked_FHW, (HEIGHT, WIDTH))
            yield Trial(row, clip, before, after[1], marked_FHW, regions, fit, prompt, negative, FEATHERS[:3:2])


def _removed(clips: int) -> Iterator[tuple[np.ndarray, tuple[Any, np.ndarray], np.ndarray, str]]:
    """Frames before, the scene and its frames after, holes (F, H, W), and the words of what is removed."""
    seed = REMOVED
    while clips:
        scene, seed = make_scene(seed), seed + 1
        if not scene.things:
            continue
        after = edit(scene, "remove", masked_thing(scene, seed, WINDOW), seed)
        drawn = [render(s, np.arange(WINDOW), HEIGHT, WIDTH) for s in (scene, after.scene)]
        thing_FHW = edit_masks(drawn[0], drawn[1], after) > 0
        alone = caption(dataclasses.replace(scene, things=(scene.things[after.thing],))).split(" over ")[0]
        if dilate(~thing_FHW, 1).all():  # a thing that a tight mask loses
            continue
        clips -= 1
        yield drawn[0].frames_FHWC, (after.scene, drawn[1].frames_FHWC), thing_FHW, alone


def blends(clips: int) -> Iterator[Trial]:
    """Holes of things that the prompt describes, by growth and feather."""
    for clip, (frames_FHWC, thing_FHW, words) in enumerate(_things(clips, HEIGHT, WIDTH)):
        regions = {"the thing": thing_FHW, "around it too": dilate(thing_FHW, WIDE)}
        for growth in GROWTHS:
            hole_FHW = dilate(thing_FHW, growth)
            fit = fit_of("stretch", hole_FHW, (HEIGHT, WIDTH))
            row = f"grown by {growth}"
            yield Trial(row, clip, frames_FHWC, frames_FHWC, hole_FHW, regions, fit, words, feathers=FEATHERS)


def fits(clips: int) -> Iterator[Trial]:
    """Small moving holes in large pictures, and portraits, by the way they are fitted."""
    for times, side in ((2, 24), (4, 32), (4, 96)):
        height, width = HEIGHT * times, WIDTH * times
        for clip, (frames_FHWC, _, words) in enumerate(_things(clips, height, width)):
            holes_FHW = _square(clip, side, height, width)
            for name in ("stretch", "crop"):
                fit = fit_of(name, holes_FHW, (HEIGHT, WIDTH))
                row = f"{width}x{height}, hole {side}x{side}, {name}"
                yield Trial(row, clip, frames_FHWC, frames_FHWC, holes_FHW, {"the hole": holes_FHW}, fit, words)
    for height, width in ((WIDTH, HEIGHT), (HEIGHT, 2 * WIDTH)):
        for clip, (frames_FHWC, thing_FHW, words) in enumerate(_things(clips, height, width)):
            holes_FHW = dilate(thing_FHW, 2)
            for name in ("stretch", "letterbox", "crop"):
                fit = fit_of(name, holes_FHW, (HEIGHT, WIDTH))
                row = f"{width}x{height}, holes of things, {name}"
                yield Trial(row, clip, frames_FHWC, frames_FHWC, holes_FHW, {"the hole": holes_FHW}, fit, words)


def extensions(clips: int) -> Iterator[Trial]:
    """Pictures of which a quarter of the width on the right is generated, by feather."""
    border = Border(right=WIDTH // 4)
    for clip, (frames_FHWC, _, words) in enumerate(_things(clips, HEIGHT, WIDTH)):
        known_FHWC = frames_FHWC[:, :, : WIDTH - border.right]
        source_FHWC, holes_FHW = border.frames(known_FHWC), border.holes(np.zeros(known_FHWC.shape[:3], bool))
        fit = fit_of("stretch", holes_FHW, (HEIGHT, WIDTH))
        seam_FHW = holes_FHW.copy()
        seam_FHW[:, :, WIDTH - border.right + 6 :] = False
        regions = {"the border": holes_FHW, "its first 6 columns": seam_FHW}
        yield Trial("right", clip, source_FHWC, frames_FHWC, holes_FHW, regions, fit, words, feathers=FEATHERS)


def _things(clips: int, height: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Held-out clips with the reach of a thing, bool, and their captions."""
    seed = HELD_OUT
    while clips:
        scene, seed = make_scene(seed), seed + 1
        if scene.things:
            clips -= 1
            drawn = render(scene, np.arange(WINDOW), height, width)
            yield drawn.frames_FHWC, drawn.reach(masked_thing(scene, seed, WINDOW)) > 0, caption(scene)


def _square(clip: int, side: int, height: int, width: int) -> np.ndarray:
    """A square hole that drifts by half its side."""
    rng = np.random.default_rng([71, clip, side, height])
    start = rng.uniform(0, (height - 1.5 * side, width - 1.5 * side))
    holes_FHW = np.zeros((WINDOW, height, width), bool)
    for frame in range(WINDOW):
        top, left = (start + side / 2 * frame / (WINDOW - 1)).astype(int)
        holes_FHW[frame, top : top + side, left : left + side] = True
    return holes_FHW


PARTS: dict[str, tuple[Callable[[int], Iterable[Trial]], str]] = {
    "remove": (removals, "tight, grown by 0, feather 0"),
    "blend": (blends, "grown by 0, feather 0"),
    "fit": (fits, ""),
    "extend": (extensions, "right, feather 0"),
}
"""Trials of each table, and the row that the others are compared with."""


def run(setup: Setup, trials: Sequence[Trial], progress: Callable[[int, int, str], None]) -> Scores:
    """PSNR of each row's clips, in each of its regions."""
    sampler = BatchSampler(
        Pipeline.load(setup.model, precision="float32"), setup.settings(Variant("holes", "", settings=SHIPPED))
    )
    texts = sorted({text for trial in trials for text in (trial.prompt, trial.negative)})
    embedded = dict(zip(texts, sampler.pipeline.encode_prompts(texts, 32)))
    scores: Scores = {}
    for done in range(0, len(trials), setup.batch):
        part = trials[done : done + setup.batch]
        filled = [part[min(index, len(part) - 1)] for index in range(setup.batch)]
        frames = np.stack([trial.fit.frames(trial.source_FHWC) for trial in filled])
        holes = np.stack([trial.fit.holes(trial.holes_FHW) for trial in filled])
        seeds = [zlib.crc32(f"{setup.seed} {trial.clip}".encode()) for trial in filled]
        words_BME, not_BME = (np.stack([embedded[getattr(t, n)] for t in filled]) for n in ("prompt", "negative"))
        made = sampler(frames, holes, words_BME, not_BME, seeds)
        for trial, made_FHWC in zip(part, made):
            for row, region, value in _scores(trial, made_FHWC):
                scores.setdefault(row, {}).setdefault(region, []).append(value)
        progress(done + len(part), len(trials), part[0].row)
    return scores


def _scores(trial: Trial, made_FHWC: np.ndarray) -> Iterator[tuple[str, str, float]]:
    result_FHWC = np.stack([trial.fit.picture(frame_HWC, number) for number, frame_HWC in enumerate(made_FHWC)])
    for feather in trial.feathers or (0,):
        pasted_FHWC = composite(trial.source_FHWC, result_FHWC, trial.holes_FHW, feather)
        row = trial.row if trial.feathers is None else f"{trial.row}, feather {feather}"
        for name, region_FHW in trial.regions.items():
            yield row, name, video_metrics.psnr(trial.truth_FHWC, pasted_FHWC, region_FHW)


def table(scores: Scores, base: str) -> str:
    """Markdown: mean PSNR in dB, and the difference clip by clip from ``base``, or from "stretch" of the same clips."""
    names = [*next(iter(scores.values()))]
    heads = [head for name in names for head in (f"{name} (dB)", "minus the first")]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for row, regions in scores.items():
        other = scores[base if base in scores else row.rsplit(", ", 1)[0] + ", stretch"]
        cells = []
        for name in names:
            gap = interval([a - b for a, b in zip(regions[name], other[name])])
            cells += [f"{np.mean(regions[name]):.2f}", f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]"]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--clips", type=int, default=24, help="held-out clips of each row")
    args = parser.parse_args(argv)
    setup = setup_of(args)
    compile_cache.keep(None)
    trials, base = PARTS[args.part]
    with Progress() as progress:
        scores = run(setup, list(trials(args.clips)), progress)
    text = "\n".join(
        [
            f"# Holes: {args.part}\n\n{args.clips} clips, {setup.steps} steps, guidance {setup.guidance:g}, no first "
            f"frame given.\n\n`python -m bench.holes {args.part} --clips {args.clips}` on {machine()}\n",
            table(scores, base),
            "",
        ]
    )
    folder = args.docs or args.out
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"holes_{args.part}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    run_cli(main)
