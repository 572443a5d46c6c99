"""Jumps, flicker and drift over several windows: the published way, own noise for every window, and the default.

    python -m bench.continuity --clips 24                       held-out clips of the drawn world
    python -m bench.continuity --videos a.mp4 b.mp4 --clips 24  parts of these, an ellipse that moves is the hole

The hole's true content is known in both, so changes are those of the error (`vp_jax.eval.continuity`). nano knows the
drawn world alone: on photographs it invents shapes, and only the order of the rows means something there. The same
command continues after an interruption.

Windows of the two modes meet in different frames and share different numbers of them, and the largest change of more
frames is larger. So seams are looked for where the latents of two windows are mixed, and in every row

    seam change   largest change of the frames of mixed latents and the one behind, mean over seams, grey levels
    seam jump     the same, divided by the median of the largest changes of as many frames elsewhere: 1 is no seam
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from bench.ablation import arguments, setup_of
from bench.nano import cases
from bench.nano.results import Key, Store, paired
from bench.timing import machine
from vp_jax.cli.program import run_cli
from vp_jax.diffusion.noise import KeyNoise, NoiseSource
from vp_jax.eval import video_metrics
from vp_jax.eval.bootstrap import interval
from vp_jax.eval.continuity import continuity_of
from vp_jax.inference.decode import Decoded
from vp_jax.inference.padded import pad_video
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.plan import WindowPlan, plan_windows
from vp_jax.inference.settings import Settings
from vp_jax.jobs import compile_cache
from vp_jax.jobs.progress import Progress
from vp_jax.media.canvas import composite, resize_frames
from vp_jax.media.video import probe, read_video
from vp_jax.shapes import TEMPORAL_STRIDE, latent_frames

METRICS = {
    "colour_drift": "colour drift (grey levels)",
    "seam_change": "seam change (grey levels)",
    "seam_jump": "seam jump (times elsewhere)",
    "flicker": "flicker (grey levels)",
    "hole_psnr": "PSNR in the hole (dB)",
}
ROWS = {
    "reference": "reference mode",
    "own": "own noise for every window",
    "default": "default",
    "joint": "windows denoised together",
}


def own_noise(settings: Settings, number: int) -> NoiseSource:
    """The draws of a window by its number, as in reference mode."""
    return KeyNoise(jax.random.fold_in(jax.random.key(settings.seed), number))


def clips_of(videos: Sequence[Path], count: int) -> Iterator[cases.Case]:
    """Parts of videos at nano's size, in turn, with an ellipse that moves across them as the hole."""
    for number in range(count):
        video = videos[number % len(videos)]
        begin = number // len(videos) * cases.LONG
        if begin + cases.LONG > probe(video).frames:
            continue
        frames_FHWC = read_video(video, start=begin, stop=begin + cases.LONG)[0]
        frames_FHWC = resize_frames(frames_FHWC, cases.HEIGHT, cases.WIDTH)
        name = f"{video.name}-{begin}"
        yield cases.Case(name, frames_FHWC, frames_FHWC, _ellipse(len(frames_FHWC)), "a blue circle moves")


def _ellipse(frames: int) -> np.ndarray:
    y_F11 = 32 + 10 * np.sin(np.arange(frames) / 9)[:, None, None]
    x_F11 = 48 + 24 * np.cos(np.arange(frames) / 13)[:, None, None]
    rows_H1, columns_1W = np.mgrid[: cases.HEIGHT, : cases.WIDTH]
    hole_FHW: np.ndarray = ((rows_H1 - y_F11) / 12) ** 2 + ((columns_1W - x_F11) / 16) ** 2 < 1
    return hole_FHW


def seams_of(change_F: np.ndarray, plan: WindowPlan, settings: Settings) -> tuple[float, float]:
    """Seam change and seam jump, see the module."""
    advance, first = latent_frames(settings.window) - settings.overlap_latents - 1, int(settings.mode == "default")
    mixed = settings.overlap_latents + 1 - first
    starts = [TEMPORAL_STRIDE * (number * advance + first) - 3 for number in range(1, len(plan.windows))]
    length = TEMPORAL_STRIDE * mixed + 1
    largest_F = np.lib.stride_tricks.sliding_window_view(change_F, length).max(axis=1)  # NaN with frame 0, not changed
    apart = [all(abs(frame - start) >= length for start in starts) for frame in range(len(largest_F))]
    seams = largest_F[[start for start in starts if start < len(largest_F)]]
    return float(np.nanmean(seams)), float(np.nanmean(seams) / np.nanmedian(largest_F[apart]))


def result_of(pipeline: Pipeline, case: cases.Case, row: str, settings: Settings) -> dict[str, float]:
    """Metrics of one row on one clip, its frame 0 given and not counted."""
    frames = len(case.holes_FHW)
    plan = plan_windows(frames, settings)
    padded = pad_video(case.source_FHWC, case.holes_FHW, settings, case.truth_FHWC[0])
    noise: Callable[[int], NoiseSource] | None = functools.partial(own_noise, settings) if row == "own" else None
    events = pipeline.windows(padded, pipeline.encode_prompt(case.prompt), settings, noise_of=noise)
    parts = [e.frames_FHWC for e in pipeline.decoded(events, plan, settings) if isinstance(e, Decoded)]
    result_FHWC = np.concatenate(parts)[:frames]
    made = len(result_FHWC)
    truth_FHWC, holes_FHW = case.truth_FHWC[:made], case.holes_FHW[:made].copy()
    result_FHWC = composite(case.source_FHWC[:made], result_FHWC, holes_FHW)
    holes_FHW[0] = False
    found = continuity_of(result_FHWC, holes_FHW, plan.windows, settings.overlap or 0, truth_FHWC)
    psnr = video_metrics.psnr(truth_FHWC, result_FHWC, holes_FHW)
    change, jump = seams_of(found.change_F, plan, settings)
    return {
        "colour_drift": found.colour_drift, "seam_change": change, "seam_jump": jump, "flicker": found.flicker,
        "hole_psnr": psnr,
    }  # fmt: skip


def table(values: dict[str, dict[str, dict[str, float]]]) -> str:
    """Markdown: means with intervals, then differences from the default, clip by clip."""
    lines = ["| | " + " | ".join(METRICS.values()) + " | clips |", "|---|" + "---:|" * (len(METRICS) + 1)]
    rows = list(values["flicker"])
    for row in rows:
        cells = [interval(list(values[metric][row].values())) for metric in METRICS]
        text = " | ".join(f"{cell.mean:.2f} [{cell.low:.2f}, {cell.high:.2f}]" for cell in cells)
        lines.append(f"| {ROWS[row]} | {text} | {len(values['flicker'][row])} |")
    for row in [row for row in rows if row != "default" and "default" in rows]:
        cells = [paired(values[metric], "default", row) for metric in METRICS]
        text = " | ".join(f"{cell.mean:+.2f} [{cell.low:+.2f}, {cell.high:+.2f}]" for cell in cells)
        lines.append(f"| default minus {ROWS[row]} | {text} | |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--videos", type=Path, nargs="+", help="files to take clips from; default: the drawn world")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="of the table; default: all")
    args = parser.parse_args(argv)
    setup = setup_of(args)
    compile_cache.keep(None)
    chosen = list(clips_of(args.videos, args.clips) if args.videos else cases.inpainting(args.clips, cases.LONG))
    pipeline, store = Pipeline.load(setup.model, precision="float32"), Store(setup.out / "continuity.jsonl")
    values: dict[str, dict[str, dict[str, float]]] = {
        metric: {row: {} for row in ROWS if row in args.rows} for metric in METRICS
    }
    with Progress() as progress:
        for number, case in enumerate(chosen):
            for at, row in enumerate(args.rows):
                progress(number * len(args.rows) + at, len(chosen) * len(args.rows), f"{case.name}/{row}")
                seed = zlib.crc32(f"{setup.seed} {case.name}".encode())
                settings = pipeline.settings.changed(
                    steps=setup.steps, guidance=setup.guidance, dynamic_guidance=False, window=cases.WINDOW, seed=seed,
                    mode="reference" if row == "reference" else "default", joint=row == "joint",
                )  # fmt: skip
                key = Key(row, "seams", case.name, f"{zlib.crc32(repr(settings).encode()):08x}-{case.digest}")
                if (found := store.read().get(key)) is None:
                    store.add(key, found := result_of(pipeline, case, row, settings))
                for metric in METRICS:
                    values[metric][row][case.name] = found[metric]
    print(
        f"{len(chosen)} clips of {cases.LONG} frames, {setup.steps} steps, guidance {setup.guidance:g}; {machine()}\n"
    )
    print(table(values))


if __name__ == "__main__":
    run_cli(main)
