"""What streams are called in lines for people, and what attached files are called in a container."""

from __future__ import annotations

from pathlib import Path

from av.stream import AttachmentStream, Stream

from vp_jax.media.av_versions import readable
from vp_jax.media.film import open_film

_COVERS = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png"), "bmp": ("cover.bmp", "image/bmp")}


def about(stream: Stream) -> str:
    """What a stream is, for people: codec and language, or the name of a file."""
    codec = getattr(stream, "name", None)
    if stream.codec_context is not None:
        codec = stream.codec_context.codec.canonical_name
    if "timecode" in stream.metadata and stream.type == "data":
        codec = "timecode"
    name = readable(stream.metadata.get("filename") or codec or "unknown")
    language = stream.metadata.get("language", "und")
    return name if language == "und" else f"{name}, {language}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 packet, 2 packets."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def attachment_of(stream: Stream, path: Path) -> tuple[str, str, bytes]:
    """Name, MIME type and bytes of an attachment, or of a cover picture, which is read with a second look at ``path``.

    Raises:
      UserError: the file cannot be opened again.
    """
    name, mime, data = "attachment", "", b""
    if isinstance(stream, AttachmentStream):
        mime, data = stream.mimetype or "", stream.data
    else:
        name, mime = _COVERS.get(stream.codec_context.name, ("cover", ""))
        with open_film(path) as (container, _):
            packet = next((p for p in container.demux(container.streams[stream.index]) if p.size), None)
            data = b"" if packet is None else bytes(packet)
    name, mime = stream.metadata.get("filename", name), stream.metadata.get("mimetype", mime)
    return readable(name), mime or "application/octet-stream", data
