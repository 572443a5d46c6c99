"""Sources of every pixel format, drawn here, with a hole filled and written again: what is kept, and what is said lost.

    python -m tests.source_formats       prints one row per source and output

The source is written with PyAV, the result is decoded with PyAV and compared plane by plane. Which chroma samples must
be the source's is computed here pixel by pixel, from the interpolation of a player, never with the project's code.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.drawn_planes import draw, generated, grown
from vp_jax.media.native_writer import Pasting, write_pasted
from vp_jax.media.source import read_source

F, H, W = 3, 48, 64
UNTAGGED = (2, 2, 2, 0)
SDR = (1, 1, 1, 1)
FULL = (1, 1, 1, 2)
PAL = (5, 6, 5, 1)
PQ = (9, 16, 9, 1)
HLG = (9, 18, 9, 1)
HLG_FULL = (9, 18, 9, 2)
MASTERING = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
SITES = {"left": (0.5, 0), "topleft": (0, 0), "center": (0.5, 0.5)}


@dataclass(frozen=True)
class Row:
    """A source and how its result is written.

    Attributes:
      pix_fmt, codec, suffix: of the source; a suffix without dot is a folder of such images.
      out: suffix of the result, "" for a folder of PNG.
      tags: primaries, transfer, matrix and range.
      options: of the source's encoder.
      size: height and width.
      shape, order: width to height of a pixel; AVFieldOrder.
      site: of 4:2:0 chroma.
      same: planes of the result are those of the source; otherwise pictures are compared, within ``error``.
      kept: largest mean difference outside of the hole, in 8-bit levels; 0 for lossless results.
      inside: largest mean error of what was generated, in 8-bit levels.
      lost: what must be said, by beginnings of lines.
    """

    pix_fmt: str
    codec: str = "ffv1"
    suffix: str = ".mkv"
    out: str = ".mkv"
    tags: tuple[int, int, int, int] = SDR
    options: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (H, W)
    shape: Fraction | None = None
    order: int = 0
    site: str = ""
    same: bool = True
    kept: float = 0.0
    inside: float = 1.0
    lost: tuple[str, ...] = ()

    def __str__(self) -> str:
        tags = {SDR: "", FULL: " full", PAL: " 601", PQ: " PQ", HLG: " HLG", UNTAGGED: " untagged"}.get(self.tags, "")
        odd = "" if self.size == (H, W) else f" {self.size[1]}x{self.size[0]}"
        more = f" {self.shape}" if self.shape else "" + (" interlaced" if self.order else "") + self.site
        return f"{self.pix_fmt}{tags}{odd}{more} {self.codec} -> {self.out or 'png'}"


LOSSLESS = "yuv420p yuv422p yuv444p yuv440p yuv411p yuv410p yuv420p10le yuv422p10le yuv444p10le yuv440p10le".split()
LOSSLESS += "yuv420p12le yuv422p12le yuv444p12le yuv440p12le yuv420p9le yuv444p14le yuv420p16le yuv422p16le".split()
LOSSLESS += "yuv444p16le gray gray10le gray12le gray16le gbrp10le gbrp12le gbrp16le bgr0 bgra gbrap16le".split()
LOSSLESS += "yuva420p yuva422p10le yuva444p16le ya8".split()
RAW = "rgb24 bgr24 nv12 yuyv422 uyvy422 rgb48le".split()

ROWS: list[Row] = [
    *(Row(name, inside=2.5) for name in LOSSLESS),
    *(Row(name, "rawvideo", ".nut", inside=2.5) for name in RAW),
    Row("yuvj420p", "mjpeg", inside=2),
    *(Row(name, tags=FULL) for name in ("yuv420p", "yuv422p10le", "yuv444p16le")),
    *(Row(name, tags=PAL) for name in ("yuv420p", "yuv444p12le")),
    *(Row(name, tags=UNTAGGED) for name in ("yuv420p", "yuv444p")),
    *(Row(name, tags=tags, inside=3) for name in ("yuv420p10le", "yuv444p12le", "gbrp10le") for tags in (PQ, HLG)),
    Row("yuv420p10le", tags=HLG_FULL, inside=3),
    *(Row("yuv420p", site=site) for site in SITES),
    *(Row(name, size=(47, 63), inside=3) for name in ("yuv420p", "yuv422p10le", "yuv410p", "yuv411p", "gbrp12le")),
    Row("yuv420p", shape=Fraction(4, 3)),
    Row("yuv420p", order=2),
    Row("yuv422p10le", order=3),
    *(Row(name, "png", "png", "", inside=1) for name in ("rgb24", "rgb48be", "rgba", "rgba64be", "gray", "gray16be")),
    *(Row(name, "tiff", "tiff", "", inside=1) for name in ("rgb24", "rgb48le", "gray16le")),
    *(Row(name, "png", "png", inside=1) for name in ("rgb24", "rgb48be", "rgba64be", "gray16be")),
    Row("yuv420p10le", out="", same=False, kept=1, inside=1),
    Row("yuv420p10le", out="", tags=PQ, same=False, kept=1, inside=3),
    Row("yuva420p", out="", same=False, kept=1, inside=1),
    *(Row(name, out=".mp4", kept=3, inside=4) for name in "yuv420p yuv422p yuv444p yuv420p10le".split()),
    Row("gray", out=".mp4", same=False, tags=FULL, kept=2, inside=4),
    *(Row(name, out=".mp4", kept=3, inside=4) for name in "yuv422p10le yuv444p10le yuv420p12le".split()),
    *(Row("yuv420p10le", out=".mp4", tags=tags, kept=4, inside=6) for tags in (PQ, HLG)),
    Row("yuv420p10le", out=".mov", tags=HLG, kept=4, inside=6),
    Row("yuv420p16le", out=".mp4", same=False, kept=2, inside=4, lost=("format 16-bit 4:2:0 becomes 12-bit 4:2:0",)),
    Row("yuv440p", out=".mp4", same=False, kept=4, inside=4, lost=("format 8-bit 4:4:0 becomes 8-bit 4:4:4",)),
    Row("bgr0", out=".mp4", same=False, kept=3, inside=4, lost=("format 8-bit RGB becomes 8-bit 4:2:0",)),
    Row("gbrp10le", out=".mp4", same=False, kept=3, inside=4, lost=("format 10-bit RGB becomes 10-bit 4:4:4",)),
    Row("yuva420p", out=".mp4", same=False, kept=3, inside=4, lost=("transparency of 3 frames is lost",)),
    Row("yuv420p", out=".mp4", size=(47, 63), kept=2, inside=4),
    Row("yuv422p", out=".mp4", size=(47, 63), kept=2, inside=4),
    Row("yuv420p10le", out=".mp4", size=(47, 63), kept=2, inside=4),
    Row("yuv420p", out=".mov", size=(47, 63), same=False, kept=4, inside=4, lost=("format 8-bit 4:2:0 becomes",)),
    Row("yuv420p", out=".mp4", shape=Fraction(16, 11), kept=2, inside=4),
    Row("yuv420p", out=".mp4", order=2, kept=3, inside=4),
    *(Row(name, out=".webm", kept=3, inside=4) for name in ("yuv420p", "yuv422p", "yuv444p", "yuva420p")),
    Row("yuv420p10le", out=".webm", kept=3, inside=4),
    Row("yuv422p12le", out=".webm", same=False, kept=3, inside=4, lost=("format 12-bit 4:2:2 becomes",)),
    Row("yuv420p", out=".webm", size=(47, 63), kept=3, inside=4),
    *(
        Row(
            "yuv420p10le",
            "libx265",
            ".mp4",
            out,
            PQ,
            {"crf": "8", "x265-params": f"log-level=none:hdr10=1:repeat-headers=1:{MASTERING}"},
            kept=4,
            inside=6,
        )
        for out in (".mp4", ".mkv", ".webm")
    ),
]


@dataclass
class Seen:
    """A file as PyAV decodes it."""

    formats: list[str]
    planes: list[list[np.ndarray]]
    rgb: np.ndarray
    tags: tuple[int, int, int, int]
    shape: Fraction | None
    order: int
    light: dict[str, bytes]


def write_source(row: Row, folder: Path) -> Path:
    if not row.suffix.startswith("."):
        path = folder / "in"
        path.mkdir()
        for number in range(F):
            encoder: Any = av.CodecContext.create(row.codec, "w")
            encoder.height, encoder.width, encoder.pix_fmt = *row.size, row.pix_fmt
            encoder.time_base = Fraction(1)
            packets = [*encoder.encode(draw(row.pix_fmt, row.size, number)), *encoder.encode()]
            (path / f"{number:05d}.{row.suffix}").write_bytes(b"".join(bytes(packet) for packet in packets))
        return path
    path = folder / f"in{row.suffix}"
    options = {"level": "3"} | row.options if row.codec == "ffv1" else dict(row.options)
    if row.site:
        options["chroma_sample_location"] = row.site
    with av.open(str(path), "w", format="nut" if row.suffix == ".nut" else None) as container:
        stream: Any = container.add_stream(row.codec, rate=24, options=options)
        stream.height, stream.width, stream.pix_fmt = *row.size, row.pix_fmt
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = row.tags
        context.field_order = row.order
        if row.shape:
            context.sample_aspect_ratio = row.shape
        graph = fields(row) if row.order or row.shape else None
        for number in range(F):
            frame = draw(row.pix_fmt, row.size, number)
            frame.pts, frame.time_base = number, Fraction(1, 24)
            if graph is not None:
                graph.push(frame)
                frame = graph.pull()
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def fields(row: Row) -> av.filter.Graph:
    """Marks frames as interlaced, and their pixels as not square."""
    graph = av.filter.Graph()
    start = graph.add_buffer(
        width=row.size[1], height=row.size[0], format=av.VideoFormat(row.pix_fmt), time_base=Fraction(1, 24)
    )
    mode = {0: "prog", 2: "tff", 3: "bff"}[row.order]
    parts = [start, graph.add("setparams", f"field_mode={mode}"), graph.add("setsar", str(row.shape or 1))]
    parts.append(graph.add("buffersink"))
    for first, second in itertools.pairwise(parts):
        first.link_to(second)
    graph.configure()
    return graph


def seen(path: Path) -> Seen:
    frames: list[Any] = []
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            decoder = stream.codec_context
            if stream.metadata.get("alpha_mode") == "1":
                decoder = av.Codec("libvpx-vp9", "r").create("video")
            for packet in container.demux(stream):
                frames += decoder.decode(packet if packet.size else None)
            context = stream.codec_context
            tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
            shape, order = stream.sample_aspect_ratio, decoder.field_order
    first = frames[0]
    data = {name: bytes(first.side_data[name]) for name in light_names(first)}
    rgb = np.stack([frame.to_ndarray(format="rgb24", interpolation=0x4 | 0x2000 | 0x40000) for frame in frames])
    return Seen([frame.format.name for frame in frames], [split(f) for f in frames], rgb, tags, shape, order, data)


def light_names(frame: Any) -> list[str]:
    try:
        names = [getattr(data, "type", data).name for data in frame.side_data]  # PyAV 19 iterates over the kinds
    except ValueError:  # of a kind that PyAV does not know
        return []
    return [name for name in names if name in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")]


def light_values(one: Seen) -> dict[str, list[float]]:
    """Numbers of HDR metadata; fractions differ in their terms."""
    out = {name: list(map(float, np.frombuffer(data, np.uint32)[:2])) for name, data in one.light.items()}
    if (data := one.light.get("MASTERING_DISPLAY_METADATA")) is not None:
        pairs = np.frombuffer(data, np.int32)[:20].reshape(10, 2)
        out["MASTERING_DISPLAY_METADATA"] = [round(above / below, 5) for above, below in pairs]
    return out


def split(frame: Any) -> list[np.ndarray]:
    """Samples by component: Y Cb Cr (A), or R G B (A), or grey."""
    name, out = frame.format.name, []
    twin = {"nv12": "yuv420p", "nv16": "yuv422p", "yuyv422": "yuv422p", "uyvy422": "yuv422p", "p010le": "yuv420p10le"}
    if name in twin:
        frame = frame.reformat(format=twin[name])
    if frame.format.is_rgb or name.startswith("ya"):
        deep = frame.format.components[0].bits
        if deep == 8:
            array = frame.to_ndarray(format="rgba")
            if name == "ya8":
                return [array[..., 0], array[..., 3]]
            return list(np.moveaxis(array, -1, 0))[: 4 if any(c.is_alpha for c in frame.format.components) else 3]
        if frame.format.is_planar:
            planes = [np.frombuffer(plane, "<u2").reshape(plane.height, -1)[:, : frame.width] for plane in frame.planes]
            return [planes[2], planes[0], planes[1], *planes[3:]]
        array = frame.to_ndarray(format="rgba64le")
        return list(np.moveaxis(array, -1, 0))[: len(frame.format.components)]
    for plane in frame.planes:
        kind = np.uint8 if frame.format.components[0].bits == 8 else ">u2" if name.endswith("be") else "<u2"
        out.append(np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : plane.width].astype(np.int64))
    return out


def holes(size: tuple[int, int]) -> np.ndarray:
    """A hole with odd corners that touches the frame's right edge, one with a kept pixel in it, and none."""
    out = np.zeros((F, *size), bool)
    out[0, 9:36, 21:] = True
    out[1, 7:40, 5:44] = True
    out[1, 20, 21] = False
    return out


def shared(hole_HW: np.ndarray, shape: tuple[int, int], row: Row) -> np.ndarray:
    """Which samples of a plane some kept pixel is made of, pixel by pixel, by linear interpolation."""
    height, width = hole_HW.shape
    steps = (-(-height // shape[0]) if shape[0] < height else 1, -(-width // shape[1]) if shape[1] < width else 1)
    if row.order and steps[0] > 1:
        out = np.zeros(shape, bool)
        for parity in (0, 1):
            out[parity::2] = _used(hole_HW[parity::2], out[parity::2].shape, steps, (0.25 + 0.5 * parity, 0))
        return out
    return _used(hole_HW, shape, steps, SITES["center" if row.pix_fmt.startswith("yuvj") else row.site or "left"])


def _used(
    hole_HW: np.ndarray, shape: tuple[int, ...], steps: tuple[int, int], place: tuple[float, float]
) -> np.ndarray:
    sites = [part * (step - 1) for part, step in zip(place, steps)]
    out = np.zeros(shape, bool)
    for y, x in zip(*np.nonzero(~hole_HW)):
        near = []
        for pixel, step, site, count in zip((y, x), steps, sites, shape):
            place_of = (pixel - site) / step
            both = {int(np.floor(place_of)), int(np.ceil(place_of))}
            near.append(sorted({min(max(one, 0), count - 1) for one in both}))
        for i, j in itertools.product(*near):
            out[i, j] = True
    return out


@dataclass
class Result:
    """What became of a row: largest and mean difference outside, largest error inside, lines, the two files."""

    outside: float
    mean: float
    inside: float
    lines: list[str]
    before: Seen
    after: Seen


def go(row: Row, folder: Path) -> Result:
    path = write_source(row, folder)
    source = read_source(path)
    lines: list[str] = []
    out, hole_FHW, made_HWC = folder / f"out{row.out}", holes(row.size), generated(row.size)
    write_pasted(out, Pasting(source, range(F), lambda _: made_HWC, hole_FHW), Fraction(24), warn=lines.append)
    before, after = seen(path), seen(out)
    assert len(after.planes) == F, f"{len(after.planes)} frames"
    worst, sums, count = 0.0, 0.0, 0
    if row.same:
        for hole_HW, old, new in zip(hole_FHW, before.planes, after.planes):
            assert [plane.shape for plane in old] == [plane.shape for plane in new]
            for was, now in zip(old, new):
                mask = shared(hole_HW, was.shape, row)
                step = 2.0 ** (int(av.VideoFormat(before.formats[0]).components[0].bits) - 8)
                away = np.abs(was.astype(int) - now.astype(int))[mask] / step
                worst, sums, count = max(worst, float(away.max())), sums + float(away.sum()), count + away.size
    else:
        away = np.abs(before.rgb.astype(int) - after.rgb)[~grown(hole_FHW, 4)]
        worst, sums, count = float(away.max()), float(away.sum()), away.size
    deep = ~grown(~hole_FHW, 9 if row.order else 5)  # rows of a field lie two apart
    shown = shown_sdr(out, after)
    inside = float(np.abs(shown[deep].astype(int) - np.broadcast_to(made_HWC, shown.shape)[deep]).mean())
    if before.formats[0].startswith(("gray", "ya")):
        luma = made_HWC @ np.array([0.299, 0.587, 0.114])
        inside = float(np.abs(shown[..., 0] - luma)[deep].mean())
    return Result(worst, sums / count, inside, lines, before, after)


def shown_sdr(path: Path, after: Seen) -> np.ndarray:
    """What a viewer of SDR sees: HDR through the project's own reader, all else by swscale."""
    from vp_jax.media.film import film_pictures

    if after.tags[1] not in (16, 18):
        return after.rgb
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return np.stack([picture.rgb_HWC for file in files for _, picture in film_pictures(file)])


def faults(row: Row, result: Result) -> list[str]:
    """What is not as it must be."""
    before, after, out = result.before, result.after, []
    if result.mean > row.kept or (row.same and row.out in (".mkv", "") and result.outside):
        out.append(f"outside differs by {result.outside:g}, in the mean {result.mean:g}")
    if result.inside > row.inside:
        out.append(f"inside differs by {result.inside:g}")
    rgb = row.out == "" or not row.same
    if row.suffix.startswith(".") and not rgb and row.tags != UNTAGGED and before.tags != after.tags:
        out.append(f"tags {before.tags} became {after.tags}")
    if row.tags == UNTAGGED and after.tags[:3] != (2, 2, 2):
        out.append(f"tags {after.tags} of an untagged source")
    if row.shape and after.shape != row.shape:
        out.append(f"pixels of {row.shape} became {after.shape}")
    if row.order and after.order != row.order:
        out.append(f"field order {row.order} became {after.order}")
    if row.out and light_values(before) != light_values(after):
        out.append("HDR metadata changed")
    if not all(any(line.startswith(start) for line in result.lines) for start in row.lost):
        out.append(f"not said: {row.lost}")
    if result.lines and not row.lost:
        out.append("said to be lost: " + "; ".join(result.lines))
    return out


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    bad = 0
    for row in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                result = go(row, Path(folder))
                wrong = faults(row, result)
                good, text = not wrong, f"outside {result.outside:5.2f} mean {result.mean:4.2f}"
                text += f" inside {result.inside:4.2f} {result.after.formats[0]:12}"
                text += "".join(f" | {line}" for line in [*result.lines, *wrong])
            except Exception as error:
                good, text = False, f"{type(error).__name__}: {error}"
        bad += not good
        print(f"{'ok ' if good else 'BAD'} {row!s:44} {text}", flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
