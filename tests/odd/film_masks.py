"""Odd masks that are films, animated pictures or label maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.odd.drawing import GREY, HOLES, VPX, F, H, W, animated, grey, mask, painted, stored

RGB = np.repeat(GREY[..., None], 3, axis=3)
BLUE = RGB * np.array([0, 0, 1], np.uint8)
LOSSY = {"crf": "28"}
PAINTED = np.concatenate([np.zeros_like(RGB), GREY[..., None]], axis=-1)  # black, opaque in the hole

mask("mkv, FFV1")(lambda path: stored(path.with_suffix(".mkv"), RGB, "ffv1", "bgr0"))
mask("mkv, FFV1, blue")(lambda path: stored(path.with_suffix(".mkv"), BLUE, "ffv1", "bgr0"))
mask("mkv, FFV1, values 0 and 1")(lambda path: stored(path.with_suffix(".mkv"), RGB // 255, "ffv1", "bgr0"))
mask("mkv, FFV1 grey")(lambda path: stored(path.with_suffix(".mkv"), GREY, "ffv1", "gray", source="gray"))
mask("mp4, lossy", edge=0.05)(lambda path: stored(path.with_suffix(".mp4"), RGB, "libx264", "yuv420p", options=LOSSY))
mask("mp4, suffix in capitals", edge=0.05)(
    lambda path: stored(path.with_suffix(".mp4"), RGB, "libx264", "yuv420p", options=LOSSY).rename(
        path.with_suffix(".MP4")
    )
)
mask("avi, MPEG-4", edge=0.08)(
    lambda path: stored(path.with_suffix(".avi"), RGB, "mpeg4", "yuv420p", options={"qscale": "2", "flags": "+qscale"})
)
mask("mp4, lossy, values 0 and 30", refused="brightest value is (2|3).")(
    lambda path: stored(path.with_suffix(".mp4"), RGB // 255 * 30, "libx264", "yuv444p", options=LOSSY)
)
mask("GIF")(lambda path: animated(path, ".gif", grey(255), duration=125))
mask("GIF, transparent around")(
    lambda path: animated(path, ".gif", painted((200, 0, 0, 255), (0, 0, 0, 0)), duration=125, disposal=2)
)
mask("multi-page TIFF")(lambda path: animated(path, ".tif", grey(255)))
mask("APNG")(lambda path: animated(path, ".png", grey(255), duration=125))
mask("animated WebP")(
    lambda path: animated(path, ".webp", [p.convert("RGB") for p in grey(255)], duration=125, lossless=True)
)
mask("WebM, VP9 with alpha", edge=0.08)(
    lambda path: stored(path.with_suffix(".webm"), PAINTED, "libvpx-vp9", "yuva420p", options=VPX, source="rgba")
)
mask("WebM, VP8 with alpha", edge=0.08)(
    lambda path: stored(path.with_suffix(".webm"), PAINTED, "libvpx", "yuva420p", options=VPX, source="rgba")
)


@mask("mp4, lossy, one frame of noise", holes=HOLES & (np.arange(F) != 2)[:, None, None], edge=0.08)
def _(path: Path) -> Path:
    noisy = RGB.copy()
    noisy[2] = np.random.default_rng(0).integers(0, 40, (H, W, 1))
    return stored(path.with_suffix(".mp4"), noisy, "libx264", "yuv420p", options={"crf": "18"})


@mask("label map .npz, one object", HOLES)
def _(path: Path) -> Path:
    np.savez_compressed(path.with_suffix(".npz"), HOLES.astype(np.int32) * 4)
    return path.with_suffix(".npz")


@mask("label map .npz, two objects", refused="holds labels 0, 1, 7")
def _(path: Path) -> Path:
    labels = HOLES.astype(np.uint8)
    labels[:, 40:] = 7
    np.savez_compressed(path.with_suffix(".npz"), labels)
    return path.with_suffix(".npz")
