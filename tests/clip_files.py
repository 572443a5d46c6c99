"""Small videos, pictures and files made on the spot, for the tests of everything that touches media."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

FPS = Fraction(30000, 1001)


def moving(frames: int = 8, height: int = 48, width: int = 64) -> np.ndarray:
    """Smooth uint8 frames in which each differs: a colour ramp that slides, so codecs change it little."""
    t, y, x = np.ogrid[:frames, :height, :width]
    waves = [np.sin((x + 3 * t) / 18), np.cos((y + 2 * t) / 14), np.sin((x + y - 4 * t) / 22)]
    return np.stack([np.broadcast_to(127 + 90 * w, (frames, height, width)) for w in waves], axis=-1).astype(np.uint8)


def encode(
    path: Path,
    frames_FHWC: np.ndarray,
    *,
    fps: Fraction = FPS,
    codec: str = "libx264",
    pts: list[int] | None = None,
    sound: bool = False,
    container: dict[str, str] | None = None,
) -> Path:
    """Write a video with PyAV directly, independently of our writer; ``pts`` in frame units for a variable rate."""
    with av.open(str(path), "w", options=container or {}) as output:
        video = output.add_stream(codec, rate=fps, options={"crf": "10"} if codec == "libx264" else {})
        video.height, video.width = frames_FHWC.shape[1:3]
        video.pix_fmt = "yuva420p" if frames_FHWC.shape[-1] == 4 else "yuv420p"
        if codec == "ffv1" and frames_FHWC.shape[-1] == 4:
            video.pix_fmt = "bgra"
        audio = output.add_stream("aac", rate=16000, layout="mono") if sound else None
        for index, frame_HWC in enumerate(frames_FHWC):
            frame = av.VideoFrame.from_ndarray(frame_HWC, "rgba" if frame_HWC.shape[-1] == 4 else "rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[index], 1 / fps
            output.mux(video.encode(frame))
        output.mux(video.encode())
        if audio is not None:
            samples = round(16000 * len(frames_FHWC) / fps)
            tone = np.sin(np.arange(samples) / 8).astype(np.float32)[None, :]
            block = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            block.rate, block.pts = 16000, 0
            output.mux(audio.encode(block))
            output.mux(audio.encode())
    return path


def opus(path: Path, seconds: int = 1) -> Path:
    """A still picture with Opus sound, which not every format takes."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=8)
        video.height, video.width, video.pix_fmt = 48, 64, "bgr0"
        audio = output.add_stream("libopus", rate=48000, layout="mono")
        for _ in range(8 * seconds):
            output.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")))
        output.mux(video.encode())
        block = av.AudioFrame.from_ndarray(np.zeros((1, 48000 * seconds), np.float32), "flt", "mono")
        block.rate, block.pts = 48000, 0
        output.mux(audio.encode(block))
        output.mux(audio.encode())
    return path


def sound_only(path: Path) -> Path:
    """A file with a sound stream and no picture."""
    with av.open(str(path), "w") as output:
        audio = output.add_stream("aac", rate=16000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        block.rate, block.pts = 16000, 0
        output.mux(audio.encode(block))
        output.mux(audio.encode())
    return path


def folder(path: Path, images: np.ndarray, names: str = "{:05d}.png") -> Path:
    """A folder of images, grey or RGB."""
    path.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(path / names.format(index))
    return path


def rotate_header(path: Path) -> Path:
    """Set an mp4's display matrix to what phones write for portrait: turn by 90 degrees clockwise to display."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 5 * 4 + 8 + 8  # version/flags, times and ids, reserved, layer..volume
    one = 1 << 16
    values = [0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30]
    data[matrix : matrix + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in values)
    path.write_bytes(data)
    return path
