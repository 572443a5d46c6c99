"""Odd masks that are images: one for all frames, or a folder of one for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.odd.drawing import CLIP, GREY, HOLES, F, H, W, grey, images, mask, painted

DAVIS = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def indexed(labels: np.ndarray, palette: list[int]) -> list[Image.Image]:
    pictures = [Image.fromarray(label_HW.astype(np.uint8)) for label_HW in labels]
    for picture in pictures:
        picture.putpalette(palette)
    return pictures


mask("red PNG")(lambda path: images(path, painted((255, 0, 0), (0, 0, 0))))
mask("blue PNG")(lambda path: images(path, painted((0, 0, 255), (0, 0, 0))))
mask("palette PNG, DAVIS colours")(lambda path: images(path, indexed(HOLES * 3, DAVIS)))
mask("palette PNG, grey entries, 0 is white")(lambda path: images(path, indexed(~HOLES, [255, 255, 255, 0, 0, 0])))
mask("1-bit PNG")(lambda path: images(path, [Image.fromarray(hole) for hole in HOLES]))
mask("16-bit PNG")(lambda path: images(path, [Image.fromarray(hole.astype(np.uint16) * 65535) for hole in HOLES]))
mask("16-bit PNG of 0 and 1")(lambda path: images(path, [Image.fromarray(hole.astype(np.uint16)) for hole in HOLES]))
mask("grey PNG, 1")(lambda path: images(path, grey(1)))
mask("grey PNG, 30", refused="brightest value is 30")(lambda path: images(path, grey(30)))
mask("grey PNG, 100", refused="brightest value is 100")(lambda path: images(path, grey(100)))
mask("grey PNG, 128")(lambda path: images(path, grey(128)))
mask("RGBA, white painted on nothing")(lambda path: images(path, painted((255, 255, 255, 255), (255, 255, 255, 0))))
mask("RGBA, black painted on nothing")(lambda path: images(path, painted((0, 0, 0, 255), (0, 0, 0, 0))))
mask("RGBA, black and white, opaque")(lambda path: images(path, painted((255, 255, 255, 255), (0, 0, 0, 255))))
mask("grey with alpha (LA)")(
    lambda path: images(path, [p.convert("LA") for p in painted((9, 9, 9, 255), (9, 9, 9, 0))])
)
mask("palette PNG, transparent entry")(
    lambda path: images(path, indexed(HOLES, [40, 40, 40, 40, 40, 40]), transparency=0)
)


@mask("photograph with an erased part", refused="neither its colours nor its transparency")
def _(path: Path) -> Path:
    erased = np.concatenate([CLIP, np.where(HOLES, 0, 255)[..., None].astype(np.uint8)], axis=-1)
    return images(path, [Image.fromarray(picture) for picture in erased])


@mask("PNG folder, one frame of compression noise", holes=HOLES & (np.arange(F) != 2)[:, None, None])
def _(path: Path) -> Path:
    noisy = GREY.copy()
    noisy[2] = np.random.default_rng(0).integers(0, 40, (H, W))
    return images(path, [Image.fromarray(picture) for picture in noisy])


mask("JPEG folder", edge=0.05)(lambda path: images(path, grey(255), ".jpg", quality=60))

STILL = np.repeat(HOLES[:1], F, axis=0)


def still(path: Path, suffix: str, picture: Image.Image, **options: Any) -> Path:
    picture.save(path.with_suffix(suffix), **options)
    return path.with_suffix(suffix)


mask("one JPEG", STILL, edge=0.05)(lambda path: still(path, ".jpg", grey(255)[0], quality=60))
mask("one PNG, suffix in capitals", STILL)(lambda path: still(path, ".PNG", grey(255)[0]))
mask("one BMP", STILL)(lambda path: still(path, ".bmp", grey(255)[0]))
mask("one GIF", STILL)(lambda path: still(path, ".gif", grey(255)[0]))
mask("one WebP", STILL)(lambda path: still(path, ".webp", grey(255)[0].convert("RGB"), lossless=True))
mask("one PNG, named as an mp4", STILL)(lambda path: still(path, ".png", grey(255)[0]).rename(path.with_suffix(".mp4")))


@mask("one JPEG, turned by EXIF", STILL, edge=0.05)
def _(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    return still(path, ".jpg", grey(255)[0].transpose(Image.Transpose.ROTATE_90), quality=90, exif=exif)
