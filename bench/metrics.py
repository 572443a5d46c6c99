"""Scores of a clip on the CPU: time against torchmetrics for what both compute, and memory against length.

    python -m bench.metrics                          49 frames of 480 x 720, 3 runs
    python -m bench.metrics --frames 17 --runs 1
    python -m bench.metrics --memory 100 400         only memory; exit status 1 if it grows by more than a tenth

Both compute PSNR, SSIM, MSE and MAE of the complete frames of the same uint8 pixels; torchmetrics takes the frames in
the blocks that we take. The first round compiles and does not count. Peak memory is that of a process of its own, for
the clip and for one four times as long, whose frames are made one block at a time. "All" are the scores that need no
weights, of both protocols.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import numpy as np

from bench.timing import busy_machine, command, interleaved, peak_host_bytes, report
from vp_jax.eval.blocks import blocks
from vp_jax.eval.scores import PROTOCOLS, SCORES, Meters, scores_of

COMMON = ("psnr", "ssim", "mse", "mae")

MOST_GROWTH = 1.1
"""Peak memory of the longest clip, relative to the shortest, that ``--memory`` lets pass."""


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--size", default="480x720", help="of a frame, ROWSxCOLUMNS")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="+", metavar="FRAMES", help="lengths of clips, the shortest first")
    parser.add_argument("--peak", choices=("all", "common"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    height, width = map(int, args.size.split("x"))
    if args.peak:
        names = list(COMMON) if args.peak == "common" else _without_weights()
        ours(names, _made(args.frames, height, width))
        print(peak_host_bytes())
        return
    if args.memory:
        peaks = _memory(args.memory, args.size, "all")
        sys.exit(int(peaks[-1] > MOST_GROWTH * peaks[0]))
    parts = list(_made(args.frames, height, width))
    seconds = interleaved(
        {"vp_jax": lambda: ours(list(COMMON), parts), "torchmetrics": lambda: theirs(parts)}, runs=args.runs
    )
    print(command())
    print(busy_machine())
    print(report(f"{', '.join(COMMON)} of {args.frames} frames of {args.size}", seconds, "vp_jax", "torchmetrics"))
    everything = [score.name for score in scores_of()]
    alone = interleaved({"all without weights": lambda: ours(everything, parts)}, runs=1)
    print(report(f"{len(everything)} scores, four regions", alone, "all without weights", ""))
    ours_values, theirs_values = ours(list(COMMON), parts), theirs(parts)
    for name in COMMON:
        print(f"  {name:<6} {ours_values[name]:.6f}   torchmetrics {theirs_values[name]:.6f}")
    for kind in ("common", "all"):
        _memory([args.frames, 4 * args.frames], args.size, kind)


def _without_weights() -> list[str]:
    """Names of the scores of both protocols that need no weights."""
    return [score.name for protocol in PROTOCOLS for score in scores_of(protocol)]


def _memory(lengths: list[int], size: str, kind: str) -> list[int]:
    """Peaks in bytes by the length of a clip, printed with their ratio."""
    peaks = []
    for frames in lengths:
        peaks.append(_peak(frames, size, kind))
        print(f"peak memory, {kind} scores, {frames} frames of {size}: {peaks[-1] / 2**20:.0f} MiB", flush=True)
    print(f"  {lengths[-1]} frames take {peaks[-1] / peaks[0]:.3f} times the memory of {lengths[0]}")
    return peaks


def _made(frames: int, height: int, width: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Result, truth and holes, block by block."""
    rng = np.random.default_rng(0)
    for part in blocks(frames):
        count = part.stop - part.start
        truth_FHWC = rng.integers(0, 256, (count, height, width, 3), np.uint8)
        noise = rng.integers(0, 20, truth_FHWC.shape, np.uint8)
        holes_FHW = np.zeros((count, height, width), bool)
        holes_FHW[:, height // 4 : height // 2, width // 4 : width // 2] = True
        yield np.minimum(truth_FHWC, 235) + noise, truth_FHWC, holes_FHW


def ours(names: list[str], parts: object) -> dict[str, float]:
    """Scores by vp_jax."""
    meters = Meters([SCORES[name] for name in names])
    for result_FHWC, truth_FHWC, holes_FHW in parts:  # type: ignore[attr-defined]
        meters.update(result_FHWC, truth_FHWC, holes_FHW)
    return {name: float(value) for name, value in meters.values().items()}


def theirs(parts: object) -> dict[str, float]:
    """The common scores by torchmetrics."""
    import tests.torchvision_operators  # noqa: F401  isort: skip
    import torch
    from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
    from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

    metrics = {
        "psnr": PeakSignalNoiseRatio(data_range=1.0),
        "ssim": StructuralSimilarityIndexMeasure(data_range=1.0),
        "mse": MeanSquaredError(),
        "mae": MeanAbsoluteError(),
    }
    with torch.inference_mode():
        for result_FHWC, truth_FHWC, _ in parts:  # type: ignore[attr-defined]
            a, b = (torch.from_numpy(x).permute(0, 3, 1, 2).float() / 255 for x in (result_FHWC, truth_FHWC))
            for metric in metrics.values():
                metric.update(a.contiguous(), b.contiguous())
        return {name: float(metric.compute()) for name, metric in metrics.items()}


def _peak(frames: int, size: str, kind: str) -> int:
    call = [sys.executable, "-m", "bench.metrics", "--frames", str(frames), "--size", size, "--peak", kind]
    return int(subprocess.run(call, capture_output=True, text=True, check=True).stdout.split()[-1])


if __name__ == "__main__":
    main()
