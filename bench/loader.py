"""Training loader: samples per second at 49 x 480 x 720, cost per stage, against a plain PyTorch DataLoader.

    python tests/data/make_vpdata_layout.py CLIPS DATA
    python -m bench.loader --data DATA --csv DATA/pexels_videovo_train_dataset.csv

Every loader does the same work on the same records: decode a window of 49 frames at 8 fps, read its masks from the
label map, augment them, stretch both to 480 x 720, batch float32 pixels, masked pixels and masks. The PyTorch ones are
written the usual way: PyAV decoding every frame to RGB, or decord's ``get_batch``; ``np.load`` of the complete label
map; OpenCV morphology; ``interpolate(antialias=True)``. Loaders take turns within one run; starting workers is not
timed. decord is optional.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.data import augment
from vp_jax.data.clips import AugmentMasks, ChooseWindow, Read, Resize, ShowFirstFrame, to_model_range
from vp_jax.data.pipeline import LoaderConfig, make_loader, stack
from vp_jax.data.sources.tfds_source import VPDataRecords
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.media.labels import LabelMap
from vp_jax.media.video import read_frames

try:
    import decord
except ImportError:
    decord = None

FRAMES, HEIGHT, WIDTH = 49, 480, 720
WARM_UP = 2


class PlainDataset(torch.utils.data.Dataset):
    """The usual PyTorch data set: map-style, everything in ``__getitem__``."""

    def __init__(self, data: VPData, reader: str, length: int):
        self.data, self.reader, self.length, self.augments = data, reader, length, augment.MaskAugment()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        row, rng = self.data.rows[number % len(self.data)], np.random.default_rng(number)
        video_file, mask_file = self.data.layout.files(row.path)
        labels_FHW = np.load(mask_file)["arr_0"][row.start_frame : row.end_frame]
        stride = max(1, int(row.fps // 8))
        kept = len(labels_FHW[::stride])
        start = int(rng.integers(0, kept - FRAMES + 1))
        indices_F = stride * (start + np.arange(FRAMES))
        masks_FHW = (labels_FHW[indices_F] == row.mask_id).astype(np.uint8)
        if self.reader == "decord":
            frames_FHWC = decord.VideoReader(str(video_file), num_threads=1).get_batch(list(indices_F)).asnumpy()
        else:
            with av.open(str(video_file)) as container:
                every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            frames_FHWC = np.stack(every)[row.start_frame : row.end_frame][indices_F]
        masks_FHW = np.ascontiguousarray(self.augments(masks_FHW, rng))
        size, options = (HEIGHT, WIDTH), {"mode": "bilinear", "antialias": True}
        video = torch.from_numpy(frames_FHWC).permute(0, 3, 1, 2).float()
        video = torch.nn.functional.interpolate(video, size, **options).round().clamp(0, 255)
        mask = torch.nn.functional.interpolate(torch.from_numpy(masks_FHW)[:, None].float(), size, **options).round()
        mask[0] = 0
        return {"pixels": video / 127.5 - 1, "masked": video * (1 - mask) / 127.5 - 1, "masks": mask}


def use_opencv(*_: int) -> None:
    """Use OpenCV's morphology in PyTorch's workers, as usual there."""
    cv2.setNumThreads(1)
    augment.MORPHOLOGY.update(
        dilate_erode=(_dilate, _erode),
        erode_dilate=(_erode, _dilate),
        dilate_only=(_dilate,),
        combined=(_erode, _dilate, _dilate, _erode),
    )


def _dilate(mask_HW: np.ndarray, kernel: int) -> np.ndarray:
    return cv2.dilate(mask_HW, np.ones((kernel, kernel), np.uint8))


def _erode(mask_HW: np.ndarray, kernel: int) -> np.ndarray:
    return cv2.erode(mask_HW, np.ones((kernel, kernel), np.uint8))


def torch_loader(data: VPData, reader: str, args: argparse.Namespace):
    """The PyTorch loader."""
    # exactly as long as it is timed: its workers do not end well while they decode
    dataset = PlainDataset(data, reader, args.batch * (WARM_UP + args.batches))
    options = {"num_workers": args.workers, "worker_init_fn": use_opencv, "multiprocessing_context": "spawn"}
    return iter(torch.utils.data.DataLoader(dataset, args.batch, **options))


def grain_loader(source, on_device: bool, args: argparse.Namespace):
    """Our loader."""
    return make_loader(source, LoaderConfig(args.batch, workers=args.workers, on_device=on_device, threads=0))


def samples_per_second(loader, batch: int, batches: int) -> float:
    """Rate over ``batches`` batches, after `WARM_UP` batches that fill the queues. Closes the loader."""
    for _ in range(WARM_UP):
        next(loader)
    start = time.perf_counter()
    for _ in range(batches):
        next(loader)
    rate = batch * batches / (time.perf_counter() - start)
    if hasattr(loader, "close"):
        loader.close()
    return rate


def label_masks(file: Path, label: int, indices_F: np.ndarray) -> np.ndarray:
    """Masks FHW uint8 {0, 1} of one label."""
    return LabelMap(file).where(indices_F, lambda labels_HW: labels_HW == label).view(np.uint8)


def stage_costs(data: VPData, samples: int) -> dict[str, list[float]]:
    """Seconds of processor time per sample and stage, one thread."""
    costs: dict[str, list[float]] = {}
    resize = Resize(HEIGHT, WIDTH)

    def timed(stage: str, function, *args):
        start = time.process_time()
        result = function(*args)
        costs.setdefault(stage, []).append(time.process_time() - start)
        return result

    for number in range(samples):
        rng, clip = np.random.default_rng(number), data[number % len(data)]
        example = timed("headers, window", ChooseWindow(FRAMES), {"clip": clip}, rng)
        video_file, mask_file = clip.layout.files(clip.row.path)
        indices_F = example["indices"] + clip.row.start_frame
        frames_FHWC = timed("decode", read_frames, video_file, indices_F)
        masks_FHW = timed("label map", label_masks, mask_file, clip.row.mask_id, indices_F)
        example = timed("augment", AugmentMasks(augment.MaskAugment()), {"masks": masks_FHW}, rng)
        pixels_FHWC = timed("resize frames", resize.frames, frames_FHWC)
        masks_FHW = timed("resize masks", resize.masks, example["masks"])
        batch = timed("batch", stack, [ShowFirstFrame()({"pixels": pixels_FHWC, "masks": masks_FHW}, rng)])
        timed("normalise to float32", to_model_range, batch)
    return costs


def plain_cost(data: VPData, reader: str, samples: int) -> float:
    """Seconds of processor time per sample of the PyTorch data set, in this process and one thread."""
    torch.set_num_threads(1)
    dataset = PlainDataset(data, reader, samples)
    start = time.process_time()
    for number in range(samples):
        dataset[number]
    return (time.process_time() - start) / samples


def family_costs(data: VPData) -> dict[str, float]:
    """Seconds of processor time per clip for each family (native size)."""
    example = Read()(ChooseWindow(FRAMES)({"clip": data[0]}, np.random.default_rng(0)), np.random.default_rng(0))
    costs = {}
    for family in augment.FAMILIES:
        start = time.process_time()
        for seed in range(4):
            augment.MaskAugment().apply(family, example["masks"], np.random.default_rng(seed))
        costs[family] = (time.process_time() - start) / 4
    return costs


def main() -> None:
    """Command line."""
    parser = Parser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder in the official layout")
    parser.add_argument("--csv", required=True)
    parser.add_argument("--shards", type=Path, help="vpdata shards of the same CSV: one more loader")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--batches", type=int, default=8, help="timed batches per loader and round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    data = VPData.from_csv(args.csv, Layout.under(args.data))

    names = ("grain", "av", "numpy", "pillow", "torch", "opencv-python-headless", "tensorflow-datasets")
    versions = [f"{name} {metadata.version(name)}" for name in names]
    versions.append(f"decord {decord.__version__}" if decord else "no decord")
    print(f"python -m bench.loader {' '.join(sys.argv[1:])}")
    print(f"{_processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}")
    print(", ".join(versions))

    costs = stage_costs(data, samples=2 * len(data))
    total = sum(statistics.mean(times) for times in costs.values())
    print(f"\nprocessor time per sample, {len(data)} rows twice: {total:.2f} s")
    for stage, times in costs.items():
        print(f"  {stage:22s} {statistics.mean(times):7.3f} s  {statistics.mean(times) / total:5.1%}")
    print("  augment by family     " + ", ".join(f"{name} {cost:.3f}" for name, cost in family_costs(data).items()))

    for reader in ("PyAV", *(["decord"] if decord else [])):
        cost = plain_cost(data, reader.lower(), len(data))
        print(f"  the PyTorch data set with {reader}: {cost:.2f} s, {cost / total:.1f} times as much")

    loaders = {
        "ours, float32 on the host": lambda: grain_loader(data, False, args),
        "ours, uint8 for the device": lambda: grain_loader(data, True, args),
        "PyTorch DataLoader + PyAV": lambda: torch_loader(data, "pyav", args),
    }
    if args.shards:
        shards = VPDataRecords(args.shards)
        loaders["ours from shards, uint8"] = lambda: grain_loader(shards, True, args)
    if decord:
        loaders["PyTorch DataLoader + decord"] = lambda: torch_loader(data, "decord", args)
    rates: dict[str, list[float]] = {name: [] for name in loaders}
    print(f"\nsamples per second, {args.workers} workers, batch {args.batch}, loaders in turn")
    for _ in range(args.rounds):
        for name, make in loaders.items():
            rates[name].append(samples_per_second(make(), args.batch, args.batches))
            print(f"  {name:28s} {rates[name][-1]:5.2f}   load {os.getloadavg()[0]:.1f}", flush=True)
    print(f"\nmedian of {args.rounds} rounds")
    for name, measured in rates.items():
        print(f"  {name:28s} {statistics.median(measured):5.2f}   ({min(measured):.2f} to {max(measured):.2f})")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    run_cli(main)
