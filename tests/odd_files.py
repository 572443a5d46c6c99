"""Odd files that people have, drawn here, read through both doors, and compared with what was drawn.

    python -m tests.odd_files            prints one row per file: sampling, training, and whether both are right

The doors: sampling reads with `read_video` and `read_masks`, training with the clips of a folder. What is right is
computed from what was drawn, with conversions written here, never with the readers of the project.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from tests import clip_files
from vp_jax.data.records import BadRecord
from vp_jax.data.sources.folders import video_folder
from vp_jax.errors import UserError
from vp_jax.media import masks, video

F, H, W = 8, 48, 64
CLIP = clip_files.moving(F, H, W)
HOLES = np.zeros((F, H, W), bool)
for _frame in range(F):
    HOLES[_frame, 8:24, 8 + 4 * _frame : 32 + 4 * _frame] = True
GREY = HOLES.astype(np.uint8) * 255
DAVIS = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


@dataclass(frozen=True)
class Odd:
    """A file, how it is made, and what is right.

    Attributes:
      make: writes the file or folder at or near the given path (its suffix may be changed) and returns it.
      holes: the right holes of a mask, None for a video.
      frames: the right frames of a video, None for a mask.
      refused: pattern of the reason, for what no reader may guess.
      mean, edge: largest mean error of frames; share of pixels of a hole that a lossy codec may move.
    """

    name: str
    make: Callable[[Path], Path]
    holes: np.ndarray | None = None
    frames: np.ndarray | None = None
    refused: str = ""
    mean: float = 0.0
    edge: float = 0.0


ODD: list[Odd] = []


def mask(name: str, holes: np.ndarray = HOLES, **expected: Any) -> Callable[[Callable[[Path], Path]], None]:
    return lambda make: ODD.append(Odd(f"mask: {name}", make, holes=holes, **expected))


def film(name: str, frames: np.ndarray = CLIP, **expected: Any) -> Callable[[Callable[[Path], Path]], None]:
    return lambda make: ODD.append(Odd(f"video: {name}", make, frames=frames, **expected))


# --- masks as images ---------------------------------------------------------------------------------------------


def images(path: Path, pictures: list[Image.Image], suffix: str = ".png", **options: Any) -> Path:
    path.mkdir()
    for index, picture in enumerate(pictures):
        picture.save(path / f"{index:05d}{suffix}", **options)
    return path


def painted(colour: tuple[int, ...], background: tuple[int, ...]) -> list[Image.Image]:
    return [Image.fromarray(np.where(hole[..., None], np.uint8(colour), np.uint8(background))) for hole in HOLES]


def grey(value: int) -> list[Image.Image]:
    return [Image.fromarray(hole.astype(np.uint8) * np.uint8(value)) for hole in HOLES]


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


# --- masks as films ----------------------------------------------------------------------------------------------


def animated(path: Path, suffix: str, pictures: list[Image.Image], **options: Any) -> Path:
    pictures[0].save(path.with_suffix(suffix), save_all=True, append_images=pictures[1:], **options)
    return path.with_suffix(suffix)


def stored(
    path: Path,
    frames: np.ndarray,
    codec: str,
    pixel_format: str,
    *,
    options: dict[str, str] | None = None,
    context: dict[str, Any] | None = None,
    source: str = "rgb24",
    skip: tuple[int, ...] = (),
    container: dict[str, str] | None = None,
) -> Path:
    """A video of frames given in the pixel format ``source``; frames in ``skip`` are left out, their time is not."""
    with av.open(str(path.parent / f"x{path.suffix}"), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=8, options=options or {})
        stream.width, stream.height = (
            (frames.shape[-1], frames.shape[-2]) if source == "yuv444p" else frames.shape[2:0:-1]
        )
        stream.pix_fmt = pixel_format
        for name, value in (context or {}).items():
            setattr(stream.codec_context, name, value)
        for index, picture in enumerate(frames):
            if index not in skip:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), source)
                frame = frame.reformat(format=pixel_format) if source != pixel_format else frame
                frame.pts, frame.time_base = index, Fraction(1, 8)
                output.mux(stream.encode(frame))
        output.mux(stream.encode())
    (path.parent / f"x{path.suffix}").rename(path)
    return path


RGB = np.repeat(GREY[..., None], 3, axis=3)
BLUE = RGB * np.array([0, 0, 1], np.uint8)
LOSSY = {"crf": "28"}
VPX = {"crf": "20", "b": "0", "auto-alt-ref": "0"}
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


# --- videos ------------------------------------------------------------------------------------------------------

CORNERS = CLIP.copy()
CORNERS[:, :16, :24] = (230, 30, 30)  # top left, so that every orientation looks different
X264 = {"crf": "8"}


def h264(path: Path, frames: np.ndarray = CORNERS, **options: Any) -> Path:
    return stored(path.with_suffix(".mp4"), frames, "libx264", "yuv444p", options=X264, **options)


def display(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write the display matrix: a step right on the stored picture is (a, b) on the screen, a step down (c, d)."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 5 * 4 + 8 + 8
    one = 1 << 16
    values = [
        a * one,
        b * one,
        0,
        c * one,
        d * one,
        0,
        W * one if min(a, c) < 0 else 0,
        H * one if min(b, d) < 0 else 0,
        1 << 30,
    ]
    data[place : place + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in values)
    path.write_bytes(data)
    return path


TURNS = {
    "rotated by 90": ((0, 1, -1, 0), np.rot90(CORNERS, -1, (1, 2))),
    "rotated by 180": ((-1, 0, 0, -1), np.rot90(CORNERS, 2, (1, 2))),
    "rotated by 270": ((0, -1, 1, 0), np.rot90(CORNERS, 1, (1, 2))),
    "mirrored": ((-1, 0, 0, 1), CORNERS[:, :, ::-1]),
    "upside down, mirrored": ((1, 0, 0, -1), CORNERS[:, ::-1]),
    "rotated by 90, mirrored": ((0, 1, 1, 0), CORNERS.swapaxes(1, 2)),
}
for _name, (_matrix, _frames) in TURNS.items():
    film(_name, _frames, mean=2.5)(lambda path, matrix=_matrix: display(h264(path), *matrix))


def luma_chroma(frames: np.ndarray, red: float, blue: float, full: bool) -> np.ndarray:
    """Frames FHWC as planes F3HW, Y'CbCr by the weights of red and blue (BT.601: .299 .114, BT.709: .2126 .0722)."""
    r, g, b = (frames[..., channel].astype(float) / 255 for channel in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    planes = np.stack([y, (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))], axis=1)
    scale, offset = ((255, 255, 255), (0, 128, 128)) if full else ((219, 224, 224), (16, 128, 128))
    scaled = planes * np.reshape(scale, (3, 1, 1)) + np.reshape(offset, (3, 1, 1))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def tagged(path: Path, frames: np.ndarray, weights: tuple[float, float], full: bool, **context: Any) -> Path:
    planes = luma_chroma(frames, *weights, full)
    context["color_range"] = 2 if full else 1
    return stored(
        path.with_suffix(".mp4"), planes, "libx264", "yuv444p", options={"qp": "0"}, source="yuv444p", context=context
    )


BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)
HD = clip_files.moving(3, 720, 1280)
film("full range", mean=1.5)(lambda path: tagged(path, CLIP, BT709, True, colorspace=1))
film("tagged BT.601", mean=1.5)(lambda path: tagged(path, CLIP, BT601, False, colorspace=6))
film("tagged BT.709", mean=1.5)(lambda path: tagged(path, CLIP, BT709, False, colorspace=1))
film("untagged, small (BT.601)", mean=1.5)(lambda path: tagged(path, CLIP, BT601, False))
film("untagged HD (BT.709)", HD, mean=1.5)(lambda path: tagged(path, HD, BT709, False))


@film("10-bit", mean=1.5)
def _(path: Path) -> Path:
    return stored(path.with_suffix(".mkv"), CLIP, "ffv1", "yuv444p10le")


@film("non-square pixels", mean=2.5)
def _(path: Path) -> Path:
    return h264(path, CLIP, context={"sample_aspect_ratio": Fraction(4, 3)})


@film("edit list", CLIP[2:6], mean=2.5)
def _(path: Path) -> Path:
    """The index cuts off two frames at the start and two at the end."""
    file = h264(path, CLIP)
    data = bytearray(file.read_bytes())
    at = data.index(b"elst") + 12
    duration, start = (int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "big") for i in range(2))
    with av.open(str(file)) as container:
        tick = container.streams.video[0].duration // F
    data[at : at + 8] = (duration // 2).to_bytes(4, "big") + (start + 2 * tick).to_bytes(4, "big")
    file.write_bytes(data)
    return file


@film("AVI with null frames", CLIP[[0, 1, 2, 5, 6, 7]], mean=4)
def _(path: Path) -> Path:
    options = {"qscale": "2", "flags": "+qscale"}
    return stored(path.with_suffix(".avi"), CLIP, "mpeg4", "yuv420p", options=options, skip=(3, 4))


film("MPEG-TS", mean=3)(lambda path: stored(path.with_suffix(".ts"), CLIP, "libx264", "yuv420p", options=X264))
film("fragmented mp4", mean=2.5)(
    lambda path: h264(path, CLIP, container={"movflags": "frag_keyframe+empty_moov+default_base_moof"})
)
film("variable rate", CLIP[[0, 1, 2, 5, 6, 7]], mean=2.5)(lambda path: h264(path, CLIP, skip=(3, 4)))
film("mkv, FFV1")(lambda path: stored(path.with_suffix(".mkv"), CLIP, "ffv1", "bgr0"))
film("WebM with alpha", CLIP * HOLES[..., None], mean=4)(
    lambda path: stored(
        path.with_suffix(".webm"),
        np.concatenate([CLIP, GREY[..., None]], axis=-1),
        "libvpx-vp9",
        "yuva420p",
        options={**VPX, "crf": "8"},
        source="rgba",
    )
)
film("APNG")(lambda path: animated(path, ".png", [Image.fromarray(frame) for frame in CLIP], duration=125))
film("animated WebP")(
    lambda path: animated(path, ".webp", [Image.fromarray(frame) for frame in CLIP], duration=125, lossless=True)
)


@film("photographs turned by EXIF", mean=4)
def _(path: Path) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = [Image.fromarray(frame).transpose(Image.Transpose.ROTATE_90) for frame in CLIP]
    return images(path, turned, ".jpg", quality=95, exif=exif)


NAMES = {"a colon": "a:b", "blanks": " a  b ", "an emoji": "a🎬b", "a percent sign": "a%03d", "brackets": "a[1]*?"}
for _label, _stem in NAMES.items():
    film(f"name with {_label}", CORNERS, mean=2.5)(lambda path, stem=_stem: h264(path.with_name(stem), CORNERS))


# --- the doors ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What a door made of a file: frames and holes, or why it refused it."""

    frames: np.ndarray | None = None
    holes: np.ndarray | None = None
    refused: str = ""


@dataclass(frozen=True)
class Row:
    """Both doors on one file."""

    odd: Odd
    sampling: Seen
    training: Seen

    @property
    def same(self) -> bool:
        if self.sampling.refused or self.training.refused:
            return bool(self.sampling.refused) == bool(self.training.refused)
        pairs = ((self.sampling.frames, self.training.frames), (self.sampling.holes, self.training.holes))
        return all(a is not None and b is not None and np.array_equal(a, b) for a, b in pairs)

    @property
    def right(self) -> bool:
        return self.same and not (fault(self.odd, self.sampling) or fault(self.odd, self.training))


def fault(odd: Odd, seen: Seen) -> str:
    """What is wrong with what a door saw, "" if nothing."""
    if odd.refused or seen.refused:
        return "" if odd.refused and re.search(odd.refused, seen.refused) else f"refused: {seen.refused or 'not'}"
    assert seen.frames is not None and seen.holes is not None
    if odd.holes is not None:
        if seen.holes.shape != odd.holes.shape:
            return f"{seen.holes.shape} holes, drawn {odd.holes.shape}"
        moved = (seen.holes != odd.holes).sum() / odd.holes.sum()
        return f"{moved:.1%} of the hole is elsewhere" if moved > odd.edge else ""
    assert odd.frames is not None
    if seen.frames.shape != odd.frames.shape:
        return f"frames {seen.frames.shape}, drawn {odd.frames.shape}"
    error = np.abs(seen.frames.astype(int) - odd.frames).mean()
    return f"mean error {error:.2f}" if error > odd.mean else ""


def lay_out(odd: Odd, folder: Path) -> tuple[Path, Path]:
    """The file and its plain partner in a folder of clips: video and mask."""
    if odd.holes is not None:
        (folder / "clip.txt").write_text("a caption")
        frames = images(folder / "clip", [Image.fromarray(frame) for frame in CLIP])
        return frames, odd.make(folder / "clip_mask")
    path = odd.make(folder / "clip")
    assert odd.frames is not None
    name = path.name if path.is_dir() else path.stem
    hole_HW = np.zeros(odd.frames.shape[1:3], np.uint8)
    hole_HW[4:12, 4:20] = 255
    (folder / f"{name}.txt").write_text("a caption")
    plain = folder / f"{name}_mask.png"
    Image.fromarray(hole_HW).save(plain)
    return path, plain


def through_sampling(path: Path, mask_path: Path) -> Seen:
    try:
        info = video.probe(path)
        frames, _ = video.read_video(path)
        holes = masks.align(
            masks.read_masks(mask_path),
            frames=len(frames),
            height=info.height,
            width=info.width,
            static=masks.is_static(mask_path),
        )
        assert (info.frames, info.height, info.width) == frames.shape[:3], "probe and reader disagree"
        return Seen(frames, holes)
    except UserError as error:
        return Seen(refused=str(error))


def through_training(folder: Path) -> Seen:
    try:
        (clip,) = video_folder(folder)
        frames, holes = clip.read(np.arange(clip.open().frames))
        return Seen(frames, holes.astype(bool))
    except (BadRecord, UserError) as error:
        return Seen(refused=str(error))


def check(odd: Odd, folder: Path) -> Row:
    """Draw a file into an empty folder and read it through both doors."""
    path, mask_path = lay_out(odd, folder)
    return Row(odd, through_sampling(path, mask_path), through_training(folder))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="keep the files in this folder")
    args = parser.parse_args()
    wrong = 0
    print(f"{'file':<50} {'sampling':<34} {'training':<34} same  right")
    for number, odd in enumerate(ODD):
        folder = args.keep / f"{number:02d}" if args.keep else Path(tempfile.mkdtemp(prefix="odd_files_"))
        folder.mkdir(parents=True, exist_ok=True)
        row = check(odd, folder)
        cells = [
            fault(odd, seen) or ("refused" if odd.refused else "as drawn") for seen in (row.sampling, row.training)
        ]
        verdict = f"{'yes' if row.same else 'NO':<5} {'yes' if row.right else 'NO'}"
        print(f"{odd.name:<50} {cells[0][:33]:<34} {cells[1][:33]:<34} {verdict}", flush=True)
        wrong += not row.right
        if not args.keep:
            shutil.rmtree(folder)
    print(f"{len(ODD)} files, {len(ODD) - wrong} right through both doors")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
