"""Time of a job without its model, against what it takes to decode and encode the same film.

    python -m bench.media_time                             1080p, 120 frames
    python -m bench.media_time --frames 30 --size 640x360 --runs 1

read   open video and mask (decoded once, counted, checked), then all windows at the model's size
write  paste into the source's planes, encode; the frames of the model are the film's first one, reduced
plain  PyAV alone: decode the video, encode it with the same encoder and options, and decode the mask

Processor seconds of all threads are compared, which other programs on the machine do not change, and wall seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from bench.moving_film import Film, make_film
from bench.timing import busy_machine
from vp_jax.cli.program import run_cli
from vp_jax.inference.inputs import Mask
from vp_jax.inference.request import make_request
from vp_jax.inference.result import Result
from vp_jax.inference.settings import Settings
from vp_jax.jobs.job import Job
from vp_jax.jobs.media import read_media
from vp_jax.media.canvas import resize_frames
from vp_jax.media.encoders import track_for
from vp_jax.media.frames import mapped
from vp_jax.media.source import read_source

MODEL_SIZE = (480, 720)
SETTINGS = Settings(window=49)


class Parts:
    """Processor and wall seconds of each part, over all runs."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[tuple[float, float]]] = {}
        self.begin()

    def begin(self) -> None:
        """The next part begins."""
        self._began = time.process_time(), time.perf_counter()

    def done(self, name: str) -> None:
        """A part ends, the next one begins."""
        now = time.process_time(), time.perf_counter()
        self.seconds.setdefault(name, []).append((now[0] - self._began[0], now[1] - self._began[1]))
        self.begin()

    def least(self, *names: str) -> tuple[float, float]:
        """Least processor and wall seconds of parts together."""
        runs = list(zip(*(self.seconds[name] for name in names)))
        return min(sum(part[0] for part in run) for run in runs), min(sum(part[1] for part in run) for run in runs)


OURS = ("open, check", "windows", "paste, write")
PLAIN = ("plain video", "plain mask")


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--size", default="1920x1080", help="of the video, WIDTHxHEIGHT")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args(argv)
    width, height = map(int, args.size.split("x"))
    parts = Parts()
    with tempfile.TemporaryDirectory() as folder:
        film = make_film(Path(folder), args.frames, height, width)
        for _ in range(args.runs):
            parts.begin()
            plain(film, Path(folder) / "plain.mp4", parts)
            ours(film, Path(folder) / "ours.mp4", parts)
    print(busy_machine())
    print(f"{args.frames} frames of {args.size}, least of {args.runs} runs: processor seconds, wall seconds")
    for name in (*PLAIN, *OURS):
        print(f"  {name:<14}{parts.least(name)[0]:>8.2f}{parts.least(name)[1]:>8.2f}")
    (ours_cpu, ours_wall), (plain_cpu, plain_wall) = parts.least(*OURS), parts.least(*PLAIN)
    video_cpu, video_wall = parts.least(PLAIN[0])
    print(f"ratio {ours_cpu / plain_cpu:.2f} of processor time, {ours_wall / plain_wall:.2f} of wall time")
    print(f"      {ours_cpu / video_cpu:.2f} and {ours_wall / video_wall:.2f} if plain does not read the mask")


def ours(film: Film, out: Path, parts: Parts) -> None:
    """Everything that a job does but sampling and by-products."""
    media = read_media(Job(video=film.video, mask=film.mask, out=out, prompt="a disc"))
    parts.done(OURS[0])
    request = make_request(media.video, Mask(media.holes_FHW), SETTINGS, MODEL_SIZE, {})
    for start in request.plan.windows:
        request.padded.window(start, SETTINGS.window)
    parts.done(OURS[1])
    picture_HWC = resize_frames(media.video.frames_FHWC[0][None], *MODEL_SIZE)[0]
    numbers = np.zeros((len(media.video), 1))
    Result(request, mapped(numbers, lambda *_: picture_HWC, picture_HWC.shape)).save(out)
    parts.done(OURS[2])


def plain(film: Film, out: Path, parts: Parts) -> None:
    """Decode and encode, nothing else; what to encode is known before."""
    source = read_source(film.video)
    track = track_for(source, ".mp4", None)
    parts.begin()
    with av.open(str(film.video)) as given, av.open(str(out), "w") as made:
        given.streams.video[0].thread_type = "AUTO"
        stream = made.add_stream(track.codec, rate=Fraction(30), options=dict(track.options))
        stream.height, stream.width, stream.pix_fmt = source.height, source.width, track.pix_fmt
        for frame in given.decode(video=0):
            frame.pict_type = av.video.frame.PictureType.NONE
            made.mux(stream.encode(frame))
        made.mux(stream.encode())
    parts.done(PLAIN[0])
    with av.open(str(film.mask)) as given:
        given.streams.video[0].thread_type = "AUTO"
        for _ in given.decode(video=0):
            pass
    parts.done(PLAIN[1])


if __name__ == "__main__":
    run_cli(main)
