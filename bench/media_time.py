"""Wall time of a job without its model, against what it takes to decode and encode the same film.

    python -m bench.media_time                             1080p, 120 frames
    python -m bench.media_time --frames 30 --size 640x360 --runs 1

read   open video and mask (decoded once, counted, checked), then all windows at the model's size
write  decode again, paste into the source's planes, encode; the frames of the model are random pictures
plain  PyAV alone: decode, encode with the same encoder and options
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from bench.moving_film import Film, make_film
from bench.timing import interleaved, machine, report
from vp_jax.cli.program import run_cli
from vp_jax.inference.inputs import Mask, Video
from vp_jax.inference.request import Request, make_request
from vp_jax.inference.result import Result
from vp_jax.inference.settings import Settings
from vp_jax.media.encoders import track_for
from vp_jax.media.frames import mapped
from vp_jax.media.mask_check import check_masks
from vp_jax.media.source import read_source

MODEL_SIZE = (480, 720)
SETTINGS = Settings(window=49)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--size", default="1920x1080", help="of the video, WIDTHxHEIGHT")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args(argv)
    width, height = map(int, args.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        film, parts = make_film(Path(folder), args.frames, height, width), _Parts()
        candidates: dict[str, Callable[[], object]] = {
            "read, paste, write": lambda: ours(film, Path(folder) / "ours.mp4", parts),
            "plain": lambda: plain(film, Path(folder) / "plain.mp4"),
        }
        seconds = interleaved(candidates, runs=args.runs, warmup=0)
    print(machine())
    print(report(f"{args.frames} frames of {args.size}", seconds, "read, paste, write", "plain"))
    for name, total in parts.seconds.items():
        print(f"  of which {name:<13} mean   {total / args.runs * 1e3:9.1f} ms")


class _Parts:
    """Seconds of each part, over all runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def done(self, name: str, begin: float) -> float:
        """A part that began at ``begin`` is done; returns the time."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - begin
        return now


def ours(film: Film, out: Path, parts: _Parts) -> None:
    """Everything that a job does but sampling and by-products."""
    begin = time.perf_counter()
    video = Video.open(film.video)
    mask = Mask.open(film.mask, like=video)
    check_masks(mask.fitted(video))
    begin = parts.done("open, check", begin)
    request: Request = make_request(video, mask, SETTINGS, MODEL_SIZE, {})
    for start in request.plan.windows:
        request.padded.window(start, SETTINGS.window)
    begin = parts.done("windows", begin)
    picture_HWC = np.random.default_rng(0).integers(0, 256, (*MODEL_SIZE, 3), np.uint8)
    numbers = np.zeros((len(video), 1))
    Result(request, mapped(numbers, lambda *_: picture_HWC, picture_HWC.shape)).save(out)
    parts.done("paste, write", begin)


def plain(film: Film, out: Path) -> None:
    """Decode and encode, nothing else."""
    source = read_source(film.video)
    track = track_for(source, ".mp4", None)
    with av.open(str(film.video)) as given, av.open(str(out), "w") as made:
        given.streams.video[0].thread_type = "AUTO"
        stream = made.add_stream(track.codec, rate=Fraction(30), options=dict(track.options))
        stream.height, stream.width, stream.pix_fmt = source.height, source.width, track.pix_fmt
        for frame in given.decode(video=0):
            frame.pict_type = av.video.frame.PictureType.NONE
            made.mux(stream.encode(frame))
        made.mux(stream.encode())


if __name__ == "__main__":
    run_cli(main)
