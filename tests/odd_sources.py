"""Odd sources that people have, read and written again: every stream, time and tag is kept, or lost with a line.

    python -m tests.odd_sources          prints one row per source

A source goes through `Video.read` and `write_video` with one colour in the hole. What came out is compared with the
source by what PyAV decodes and demuxes of both, never with the clock or the tracks of the project.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.stream import Disposition
from PIL import Image

from tests import clip_files
from tests.seen_streams import compare, seen
from tests.source_films import H, Sound, W, film
from vp_jax.inference.inputs import Video
from vp_jax.media.video_writer import write_video

S = Fraction
PAL, FILM, NTSC, DOUBLE = S(25), S(24000, 1001), S(30000, 1001), S(60000, 1001)
JITTER = [S(t, 1000) for t in (0, 30, 71, 99, 140, 160, 220, 233, 290, 320, 333, 400, 440)]
SLOWING = [S(n, 30) for n in range(20)] + [S(20, 30) + S(n, 10) for n in range(11)]
ENG, DEU = Sound("aac", "eng", "Main", Disposition.default), Sound("aac", "deu", "Kommentar", Disposition.comment)
TITLE = {"title": "A film", "comment": "of two foxes"}


@dataclasses.dataclass(frozen=True)
class Source:
    """A source and what must become of it.

    Attributes:
      make: writes it at or near a path without suffix and returns its path.
      out: suffix of the result.
      read: arguments of `Video.read`.
      lost: patterns of the lines that must be printed about what does not arrive as it was; all other lines say
        "copied", and everything else must arrive.
    """

    name: str
    make: Callable[[Path], Path]
    out: str
    read: dict[str, Any] = dataclasses.field(default_factory=dict)
    lost: tuple[str, ...] = ()


SOURCES: list[Source] = []


def source(name: str, suffix: str, out: str, *lost: str, read: dict[str, Any] | None = None, **options: Any) -> None:
    SOURCES.append(Source(name, lambda path: film(path.with_suffix(suffix), **options), out, read or {}, lost))


def drawn(name: str, out: str, *lost: str, **read: Any) -> Callable[[Callable[[Path], Path]], None]:
    return lambda make: SOURCES.append(Source(name, make, out, read, lost))


# --- rates and times ---------------------------------------------------------------------------------------------

source("mp4 23.976 + sound", ".mp4", ".mp4", rate=FILM, sounds=[ENG])
source("mp4 25, B-frames", ".mp4", ".mkv", rate=PAL)
source("mov 29.97, ProRes + PCM", ".mov", ".mov", rate=NTSC, codec="prores_ks", sounds=[Sound("pcm_s16le")])
source("mkv 59.94 + sound", ".mkv", ".mp4", rate=DOUBLE, sounds=[ENG])
source("webm 29.97 + Opus", ".webm", ".webm", rate=NTSC, codec="libvpx-vp9", sounds=[Sound("libopus", "eng")])
source("webm VP8 with hidden frames", ".webm", ".webm", codec="libvpx", rate=PAL, frames=40)
source("mp4 variable, jitter", ".mp4", ".mp4", times=JITTER, time_base=S(1, 90000), sounds=[ENG])
source("mp4 variable, 30 then 10", ".mp4", ".mkv", times=SLOWING, time_base=S(1, 90000), sounds=[ENG])
source("mkv variable", ".mkv", ".mp4", times=JITTER, time_base=S(1, 1000), sounds=[ENG])
source(
    "mkv variable to webm",
    ".mkv",
    ".webm",
    "sound 1 .*written as Opus",
    times=JITTER,
    time_base=S(1, 1000),
    sounds=[ENG],
)
source("mkv that starts at 1.5 s", ".mkv", ".mkv", offset=S(3, 2), sounds=[ENG], text="subrip", chapters=True)
source("mp4 that starts at 1.5 s", ".mp4", ".mp4", offset=S(3, 2), time_base=S(1, 12800), sounds=[ENG])
source("sound before pictures", ".mkv", ".mp4", lead=S(1, 2), time_base=S(1, 1000), sounds=[ENG])
source("mpeg-ts, offset", ".ts", ".mp4", sounds=[ENG])
source("mpeg-ts, variable", ".ts", ".mkv", times=JITTER, time_base=S(1, 90000), sounds=[Sound("ac3")])
source(
    "mpeg-ts, wraps",
    ".ts",
    ".mp4",
    offset=S(2**33, 90000) - S(1, 2),
    time_base=S(1, 90000),
    sounds=[Sound("ac3")],
    options={"mpegts_copyts": "1"},
)
source("mp4, edit list cuts 5 frames", ".mp4", ".mp4", offset=S(-1, 5), time_base=S(1, 12800))
source("mpeg2 + mp3 in avi", ".avi", ".mkv", codec="mpeg2video", sounds=[Sound("libmp3lame")])
source("fragmented mp4", ".mp4", ".mp4", sounds=[ENG], options={"movflags": "frag_keyframe+empty_moov"})
source(
    "part: start, stop",
    ".mp4",
    ".mp4",
    rate=NTSC,
    frames=60,
    sounds=[ENG],
    read={"start": 20, "stop": 50},
    chapters=True,
)
source(
    "part: thinned to 8",
    ".mp4",
    ".mkv",
    "sound 1 .*left out",
    rate=NTSC,
    frames=60,
    sounds=[ENG],
    read={"start": 6, "fps": 8},
)
source(
    "part of a variable film",
    ".mkv",
    ".mp4",
    times=JITTER,
    time_base=S(1, 1000),
    sounds=[ENG],
    read={"start": 3, "stop": 9},
)

# --- streams -----------------------------------------------------------------------------------------------------

source("two sound tracks, mp4", ".mp4", ".mp4", sounds=[ENG, DEU], tags=TITLE)
source("two sound tracks, mkv", ".mkv", ".mkv", sounds=[ENG, dataclasses.replace(DEU, codec="ac3")], tags=TITLE)
source("5.1 ac3", ".mkv", ".mp4", sounds=[Sound("ac3", "eng", layout="5.1")])
source("flac to mp4", ".mkv", ".mp4", sounds=[Sound("flac", "eng")])
source("opus to mov", ".mkv", ".mov", "sound 1 .*written as AAC", sounds=[Sound("libopus", "eng")])
source("subtitles srt", ".mkv", ".mkv", sounds=[ENG], text="subrip", forced=True)
source("subtitles ass + font", ".mkv", ".mkv", text="ass", font=True)
source("subtitles srt to mp4", ".mkv", ".mp4", "subtitles 1 .*written as mov_text", text="subrip")
source("subtitles mov_text", ".mp4", ".mp4", text="mov_text", sounds=[ENG])
source("subtitles mov_text to mkv", ".mp4", ".mkv", "subtitles 1 .*written as SubRip", text="mov_text")
source("subtitles mov_text to webm", ".mp4", ".webm", "subtitles 1 .*written as WebVTT", text="mov_text")
source("subtitles webvtt", ".webm", ".webm", codec="libvpx-vp9", text="webvtt", sounds=[Sound("libopus", "eng")])
source("chapters mp4", ".mp4", ".mp4", chapters=True, tags=TITLE)
source("chapters mkv to webm", ".mkv", ".webm", chapters=True, tags=TITLE)
source("chapters mp4 to mkv", ".mp4", ".mkv", chapters=True, sounds=[ENG, DEU])
source("font and cover mkv", ".mkv", ".mkv", font=True, cover=True, text="ass")
source(
    "font and cover to mp4",
    ".mkv",
    ".mp4",
    "attachment 1 .*no attachments",
    "subtitles 1 .*mov_text",
    font=True,
    cover=True,
    text="ass",
)
source("cover mp4", ".mp4", ".mp4", cover=True, sounds=[ENG])


@drawn("font whose name is Latin-1", ".mkv")
def latin_font(path: Path) -> Path:
    path = film(path.with_suffix(".mkv"), font=True)
    path.write_bytes(path.read_bytes().replace(b"font.ttf", b"f\xf6nt.ttf"))
    return path


source("cover mp4 to mkv", ".mp4", ".mkv", cover=True)
source("cover mp4 to webm", ".mp4", ".webm", "cover 1 .*no attachments", cover=True)
source("data klv in ts", ".ts", ".mkv", "data 1 .klv.*does not hold it", data=True, sounds=[Sound("ac3")])
source("time code", ".mov", ".mov", "data 1 .timecode.*time code track", video_tags={"timecode": "01:00:00:00"})
source(
    "everything to a folder",
    ".mkv",
    "",
    "sound 1 ",
    "subtitles 1 ",
    "chapters: lost",
    "attachment 1 ",
    "not evenly",
    times=JITTER,
    time_base=S(1, 1000),
    sounds=[ENG],
    text="subrip",
    chapters=True,
    font=True,
)
source("sound to gif", ".mp4", ".gif", "sound 1 .*pictures only", rate=S(10), sounds=[ENG])
source("29.97 to gif", ".mp4", ".gif", "rounded to 1/100 s", rate=NTSC)


PHONE = {"creation_time": "2024-05-06T07:08:09.000000Z", "com.android.version": "14", "title": "A film"}
source(
    "tags of a phone",
    ".mp4",
    ".mp4",
    "tags lost.*: com.android.version$",
    tags=PHONE,
    options={"movflags": "use_metadata_tags"},
)
source("tags of a phone to mkv", ".mp4", ".mkv", tags=PHONE, options={"movflags": "use_metadata_tags"})
source(
    "5.1 ac3 to webm", ".mkv", ".webm", "sound 1 .*written as Opus, [0-9]", sounds=[Sound("ac3", "eng", layout="5.1")]
)


# --- files with odd headers --------------------------------------------------------------------------------------


def animation(path: Path, lasts: list[int], **options: Any) -> Path:
    pictures = [Image.fromarray(frame) for frame in clip_files.moving(len(lasts), H, W)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=lasts, loop=0, **options)
    return path


DELAYS = [50, 120, 30, 200, 80, 40]
drawn("gif, delays", ".gif")(lambda path: animation(path.with_suffix(".gif"), DELAYS))
drawn("gif, delays, to mp4", ".mp4")(lambda path: animation(path.with_suffix(".gif"), DELAYS))
drawn("apng, delays", ".mkv")(lambda path: animation(path.with_suffix(".png"), DELAYS))
drawn("webp, delays", ".mp4")(lambda path: animation(path.with_suffix(".webp"), DELAYS, lossless=True))


@drawn("avi with null frames", ".mp4")
def _(path: Path) -> Path:
    shown = [S(number, 10) for number in (0, 1, 2, 5, 6, 7, 8, 9, 10)]
    return film(path.with_suffix(".avi"), times=shown, rate=S(10), time_base=S(1, 10), codec="mpeg4")


class Pipe:
    """A file that cannot go back, as a recorder writes to a network."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.name = str(path)

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()


@drawn("live webm without duration", ".webm")
def _(path: Path) -> Path:
    path = path.with_suffix(".webm")
    pipe = Pipe(path)
    film(path, codec="libvpx-vp9", sounds=[Sound("libopus")], options={"live": "1"}, file=pipe, format="webm")
    pipe.close()
    return path


@drawn("mkv with a stale duration", ".mkv")
def _(path: Path) -> Path:
    path = film(path.with_suffix(".mkv"), sounds=[ENG])
    path.write_bytes(path.read_bytes().replace(b"00:00:01.200000000", b"00:00:09.200000000"))
    return path


@drawn("avi without index, stale count", ".mkv")
def _(path: Path) -> Path:
    path = film(path.with_suffix(".avi"), codec="mpeg4", sounds=[Sound("libmp3lame")])
    content = path.read_bytes()
    at = content.index(b"vids") + 32
    content = content[:at] + (900).to_bytes(4, "little") + content[at + 4 :]
    path.write_bytes(content.replace(b"idx1", b"JUNK"))
    return path


# --- check -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Row:
    """What became of a source."""

    source: Source
    lines: list[str]
    faults: list[str]


def check(odd: Source, folder: Path) -> Row:
    """Write a source into an empty folder, carry it through, and compare."""
    path = odd.make(folder / "in")
    video = Video.read(path, **odd.read)
    frames_FHWC = video.frames_FHWC.copy()
    frames_FHWC[:, 4:12, 4:20] = 128
    out = folder / f"out{odd.out}"
    clock, tracks = video.first(len(video))
    carried = write_video(out, frames_FHWC, video.fps, clock=clock, tracks=tracks)
    lines = [found.line for found in carried] + ([video.note] if video.note else [])
    faults = []
    for pattern in odd.lost:
        if not any(re.search(pattern, line) for line in lines):
            faults.append(f"no line matches {pattern!r}")
    for found in carried:
        told = any(re.search(pattern, found.line) for pattern in odd.lost)
        if found.how == "lost" and not told:
            faults.append(f"lost: {found.line}")
    return Row(odd, lines, faults + compare(seen(path), seen(out), odd.out, odd.read, lines))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="keep the files in this folder")
    parser.add_argument("--only", default="", help="rows whose name holds this")
    args = parser.parse_args()
    wrong, rows = 0, [odd for odd in SOURCES if args.only in odd.name]
    for number, odd in enumerate(rows):
        folder = args.keep / f"{number:02d}" if args.keep else Path(tempfile.mkdtemp(prefix="odd_sources_"))
        folder.mkdir(parents=True, exist_ok=True)
        row = check(odd, folder)
        print(f"{odd.name:<32} {odd.out or 'folder':<7} {'kept' if not row.faults else 'WRONG'}", flush=True)
        for line in row.lines:
            print(f"    {line}")
        for fault in row.faults:
            print(f"    WRONG: {fault}")
        wrong += bool(row.faults)
        if not args.keep:
            shutil.rmtree(folder)
    print(f"{len(rows)} sources, {len(rows) - wrong} kept or lost with a line")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
