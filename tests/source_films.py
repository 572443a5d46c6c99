"""Films with many streams, odd times and odd headers, written by PyAV alone, for `tests.odd_sources`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from av.subtitles.subtitle import SubtitleSet

from tests import clip_files

H, W = 32, 48
TEXTS = ((Fraction(0), Fraction(2, 5), "Hello"), (Fraction(1, 2), Fraction(9, 10), "<i>World</i>"))
_ASS = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\n\r\n[V4+ Styles]\r\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
    b"Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, "
    b"MarginV, Encoding\r\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0"
    b"\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


@dataclasses.dataclass(frozen=True)
class Sound:
    """A sound track: its encoder, tags and dispositions."""

    codec: str = "aac"
    language: str = ""
    title: str = ""
    disposition: int = 0
    layout: str = "mono"


def film(
    path: Path,
    *,
    frames: int = 30,
    rate: Fraction = Fraction(25),
    times: Sequence[Fraction] | None = None,
    offset: Fraction = Fraction(0),
    codec: str = "libx264",
    sounds: Sequence[Sound] = (),
    text: str = "",
    chapters: bool = False,
    font: bool = False,
    cover: bool = False,
    data: bool = False,
    tags: dict[str, str] | None = None,
    video_tags: dict[str, str] | None = None,
    forced: bool = False,
    time_base: Fraction | None = None,
    lead: Fraction = Fraction(0),
    options: dict[str, str] | None = None,
    file: Any = None,
    format: str | None = None,
) -> Path:
    """Write a film.

    Args:
      path: its suffix is the container.
      times: second of every frame and, last, of the end; default: evenly spaced.
      offset: second at which all streams start.
      lead: seconds by which sound starts before the pictures.
      text: encoder of a subtitle track.
      file, format: write there instead of to ``path``.
    """
    shown = times or [number / rate for number in range(frames + 1)]
    length = shown[-1]
    base = time_base or (Fraction(1, 90_000) if times or offset or lead else 1 / rate)
    with av.open(file or str(path), "w", options=options or {}, format=format) as output:
        video: Any = output.add_stream(codec, rate=rate)
        video.width, video.height, video.pix_fmt = W, H, "bgr0" if codec == "ffv1" else "yuv420p"
        if times or offset or lead:
            video.codec_context.time_base = base
        if codec == "prores_ks":
            video.pix_fmt = "yuv422p10le"
        video.metadata.update(video_tags or {})
        tracks = [_sound(output, sound) for sound in sounds]
        subtitle: Any = output.add_stream(text) if text else None
        if subtitle is not None:
            subtitle.metadata["language"] = "ger"
            subtitle.codec_context.subtitle_header = _ASS
            subtitle.time_base = Fraction(1, 1000)
            if forced:
                subtitle.disposition = Disposition.forced
        picture: Any = None
        if cover and path.suffix == ".mkv":
            output.add_attachment("cover.jpg", "image/jpeg", jpeg())
        elif cover:
            picture = output.add_stream("mjpeg")
            picture.width, picture.height, picture.pix_fmt = W, H, "yuvj420p"
            picture.disposition = Disposition.attached_pic
        if font:
            output.add_attachment("font.ttf", "font/ttf", bytes(range(256)))
        klv: Any = output.add_data_stream("klv") if data else None
        output.metadata.update(tags or {})
        if chapters:
            output.set_chapters(_chapters(offset, length))
        _text(output, subtitle, offset)
        _pictures(output, video, shown, offset + lead, base if times or offset or lead else None, codec)
        for track, sound in zip(tracks, sounds):
            _tone(output, track, sound, length + lead, offset)
        if picture is not None:
            frame = av.VideoFrame.from_ndarray(clip_files.moving(1, H, W)[0], "rgb24").reformat(format="yuvj420p")
            output.mux([*picture.encode(frame), *picture.encode()])
        if klv is not None:
            for number in range(5):
                packet = av.Packet(b"\x06\x0e\x2b\x34" + bytes([number]) * 12)
                packet.stream, packet.time_base = klv, Fraction(1, 1000)
                packet.pts = packet.dts = round(offset * 1000) + 200 * number
                output.mux(packet)
    return path


def jpeg() -> bytes:
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = W, H, "yuvj420p", Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(clip_files.moving(1, H, W)[0], "rgb24").reformat(format="yuvj420p")
    return bytes(encoder.encode(frame)[0])


def _sound(output: Any, sound: Sound) -> Any:
    track = output.add_stream(sound.codec, rate=48000, layout=sound.layout)
    track.metadata.update({k: v for k, v in (("language", sound.language), ("title", sound.title)) if v})
    track.disposition = sound.disposition
    return track


def _tone(output: Any, track: Any, sound: Sound, length: Fraction, offset: Fraction) -> None:
    channels = len(av.AudioLayout(sound.layout).channels)
    count = round(48000 * length)
    wave = np.sin(np.arange(count) / (9 + 3 * len(sound.language))).astype(np.float32) / 2
    block = av.AudioFrame.from_ndarray(np.repeat(wave[None], channels, axis=0), "fltp", sound.layout)
    block.sample_rate, block.time_base, block.pts = 48000, Fraction(1, 48000), round(offset * 48000)
    output.mux([*track.encode(block), *track.encode(None)])


def _text(output: Any, subtitle: Any, offset: Fraction) -> None:
    for number, (start, stop, text) in enumerate(TEXTS if subtitle is not None else ()):
        lasts = round((stop - start) * 1000)
        shown = SubtitleSet.create(f"{number},0,Default,,0,0,0,,{text}".encode(), 0, lasts, pts=0)
        packet = subtitle.codec_context.encode_subtitle(shown)
        packet.stream, packet.time_base = subtitle, Fraction(1, 1000)
        packet.pts = packet.dts = round((offset + start) * 1000)
        packet.duration = lasts
        output.mux(packet)


def _pictures(output: Any, video: Any, shown: Sequence[Fraction], offset: Fraction, base: Any, codec: str) -> None:
    lasts: dict[int, int] = {}
    for number, frame_HWC in enumerate(clip_files.moving(len(shown) - 1, H, W)):
        frame = av.VideoFrame.from_ndarray(frame_HWC, "rgb24")
        if base is not None:
            frame.pts, frame.time_base = round((shown[number] + offset) / base), base
            lasts[frame.pts] = round((shown[number + 1] - shown[number]) / base)
        for packet in video.encode(frame):
            packet.duration = lasts.get(packet.pts, packet.duration)
            output.mux(packet)
    for packet in video.encode():
        packet.duration = lasts.get(packet.pts, packet.duration)
        output.mux(packet)


def _chapters(offset: Fraction, length: Fraction) -> Any:
    ends = [0, round(length * 500), round(length * 1000)]
    start = round(offset * 1000)
    return [
        {
            "id": number + 1,
            "start": start + ends[number],
            "end": start + ends[number + 1],
            "time_base": Fraction(1, 1000),
            "metadata": {"title": title},
        }
        for number, title in enumerate(("One", "Two"))
    ]
