"""Doors for films whose other streams, times and pixels go into a result: damaged, cut, and with odd numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import vp_jax
from tests.drawn_planes import generated
from tests.fuzz.doors import Wrong, door
from tests.fuzz.mutations import PYTHON_NUMBERS, Rng, damage_file, damage_one, damaged_bytes, pick
from tests.source_films import Sound, film
from tests.source_formats import PQ, Row, write_source
from vp_jax.inference.inputs import Video
from vp_jax.media.native_writer import Pasting, write_pasted
from vp_jax.media.source import read_source
from vp_jax.media.video_writer import write_video

OUTS = (".mp4", ".mkv", ".webm", ".mov", ".gif", "")
SOUNDS = (Sound("aac", "eng", "Main"), Sound("ac3", "deu"))
MOST_FRAMES = 200


def films_with_streams(folder: Path) -> None:
    """Sound, subtitles, chapters, attachments, a cover, data and tags in every container that holds them."""
    every: dict[str, Any] = {"frames": 12, "sounds": SOUNDS, "tags": {"title": "A film"}}
    late = {"offset": Fraction(3, 2), "time_base": Fraction(1, 1000)}
    film(folder / "a.mkv", **every, text="subrip", chapters=True, font=True, cover=True)
    film(folder / "late.mkv", **every, **late, text="ass", chapters=True)
    film(folder / "b.mp4", **every, text="mov_text", chapters=True, cover=True)
    film(folder / "c.mov", **every, codec="prores_ks")
    film(folder / "d.ts", **{**every, "tags": {}}, data=True)
    film(folder / "e.webm", frames=12, codec="libvpx-vp9", sounds=[Sound("libopus", "eng")], chapters=True)
    film(folder / "f.avi", frames=12, codec="mpeg2video", sounds=[Sound("libmp3lame")])
    times = [Fraction(number * number, 100) for number in range(13)]
    film(folder / "g.mp4", times=times, time_base=Fraction(1, 90_000), sounds=SOUNDS[:1])


def _damage_header(path: Path, rng: Rng) -> None:
    """Damage of the first or the last two thousand bytes, where streams are described."""
    content = path.read_bytes()
    place = 0 if rng.random() < 0.5 else max(0, len(content) - 2000)
    changed = damaged_bytes(content[place : place + 2000], rng)
    path.write_bytes(content[:place] + changed + content[place + 2000 :])


@door("carried streams", films_with_streams, share=3)
def _carried(folder: Path, rng: Rng) -> Callable[[], object]:
    path = pick(rng, sorted(folder.iterdir()))
    for _ in range(int(rng.integers(0, 4))):
        if path.is_file() and path.stat().st_size:
            _damage_header(path, rng) if rng.random() < 0.6 else path.write_bytes(damaged_bytes(path.read_bytes(), rng))
    if rng.random() < 0.05:
        damage_file(path, rng)
    numbers = {name: pick(rng, PYTHON_NUMBERS) for name in ("start", "stop", "fps") if rng.random() < 0.1}
    if rng.random() < 0.3:
        numbers |= pick(rng, ({"start": 3}, {"stop": 5}, {"fps": 5.0}, {"start": 2, "stop": 9, "fps": 9.0}))
    out = folder / f"out{pick(rng, OUTS)}"

    def carry() -> None:
        video = Video.read(path, **numbers)
        if len(video) > MOST_FRAMES or video.frames_FHWC.nbytes > 64 << 20:
            return
        clock, tracks = video.first(len(video))
        lines = write_video(out, video.frames_FHWC.copy(), video.fps, clock=clock, tracks=tracks)
        if not all(found.line and "\n" not in found.line for found in lines):
            raise Wrong(f"lines that are not one line: {lines}")
        if out.suffix and len(vp_jax.read_video(out)) != len(video) and out.suffix != ".gif":
            raise Wrong(f"{len(vp_jax.read_video(out))} frames written of {len(video)}")

    return carry


FORMATS = (
    *(Row(name) for name in ("yuv420p", "yuv422p10le", "yuv444p16le", "yuv411p", "gray16le", "bgra", "gbrp10le")),
    *(Row(name, "rawvideo", ".nut") for name in ("nv12", "rgb48le")),
    *(Row(name, "png", "png", "") for name in ("rgba64be", "gray")),
    Row("rgb48le", "tiff", "tiff", ""),
    Row("yuvj420p", "mjpeg"),
    Row("yuv420p10le", tags=PQ),
    Row("yuv420p", size=(47, 63)),
    Row("yuv420p", order=2),
    Row("yuva420p"),
)


def native_sources(folder: Path) -> None:
    """Sources of many pixel formats, as films and as folders of images."""
    for index, row in enumerate(FORMATS):
        place = folder / f"{index:02d}"
        place.mkdir()
        write_source(row, place)


@door("native pixels", native_sources, share=2)
def _native(folder: Path, rng: Rng) -> Callable[[], object]:
    place = pick(rng, sorted(folder.iterdir()))
    path = next(place.iterdir())
    for _ in range(int(rng.integers(0, 3))):
        if path.is_dir():
            damage_one(path, rng, "*")
        elif path.is_file():
            damage_file(path, rng)
        if not path.exists() or (path.is_dir() and not any(file.is_file() for file in path.iterdir())):
            break
    out, feather = folder / f"out{pick(rng, OUTS[:4] + OUTS[5:])}", int(rng.integers(0, 4))
    wanted = pick(rng, (range(3), range(1), (0, 2), (1, 50)))

    def paste() -> None:
        source = read_source(path)
        if source.layout is None or source.height * source.width > 10**6:
            return
        size = source.height, source.width
        made_HWC, hole_FHW = generated(size), np.zeros((len(wanted), *size), bool)
        hole_FHW[:, size[0] // 4 : size[0] // 2 + 1, size[1] // 3 :] = True
        lines: list[str] = []
        pasting = Pasting(source, wanted, lambda _: made_HWC, hole_FHW, feather)
        write_pasted(out, pasting, Fraction(24), quality=pick(rng, (None, 0, 51)), warn=lines.append)
        if any("\n" in line for line in lines):
            raise Wrong(f"lines that are not one line: {lines}")

    return paste
