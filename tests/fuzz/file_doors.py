"""Doors for videos, pictures, masks, arrays, embeddings and texts."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import vp_jax
from tests import clip_files
from tests.fuzz.doors import Wrong, door
from tests.fuzz.mutations import Rng, damage_file, damage_one, damaged_text, pick, replace_by_odd_thing
from vp_jax.errors import UserError
from vp_jax.inference.prompt import Prompt
from vp_jax.media import arrays, images, masks, video
from vp_jax.media.masks import MaskFile
from vp_jax.reading import read_bytes

CLIP = clip_files.moving(5, 32, 48)
GREY = np.repeat((CLIP[..., :1] > 127) * np.uint8(255), 3, axis=3)


def films(folder: Path) -> None:
    """One mask, readable as a video too, in every kind of file."""
    for name, codec in (
        ("a.mp4", "libx264"),
        ("b.mkv", "ffv1"),
        ("c.avi", "mpeg4"),
        ("d.webm", "libvpx"),
        ("e.ts", ""),
    ):
        clip_files.encode(folder / name, GREY, codec=codec or "libx264")
    pictures = [Image.fromarray(frame) for frame in GREY]
    for suffix in ("gif", "webp", "png", "tiff"):
        pictures[0].save(folder / f"film.{suffix}", save_all=True, append_images=pictures[1:], duration=125)
    for suffix in ("png", "jpg", "bmp", "ppm", "jp2", "webp", "tif"):
        pictures[0].save(folder / f"still.{suffix}")
    pictures[0].convert("P").save(folder / "palette.png")
    Image.fromarray(GREY[0, ..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    clip_files.folder(folder / "frames", GREY)


@door("video and mask", films, share=3)
def _film(folder: Path, rng: Rng) -> Callable[[], object]:
    path = pick(rng, sorted(folder.iterdir()))
    damage_file(pick(rng, sorted(path.iterdir())) if path.is_dir() and rng.random() < 0.8 else path, rng)
    readers: tuple[Callable[[Path], object], ...] = (
        *(video.probe, video.read_video, masks.read_masks, images.read_image, masks.is_static, vp_jax.read_mask),
        lambda path: video.read_frames(path, [0, 3]),
        lambda path: MaskFile(path, 1).holes([0]),
        lambda path: MaskFile(path).check(),
        lambda path: video.read_video(read_bytes(path)),
    )
    return lambda: _all_of(readers, path)


def _all_of(readers: tuple[Callable[[Path], object], ...], path: Path) -> None:
    """Every reader meets the file; refused is what all refuse."""
    refused: list[UserError] = []
    for read in readers:
        try:
            read(path)
        except UserError as error:
            refused.append(error)
            if "\n" in str(error):
                raise
    if len(refused) == len(readers):
        raise refused[0]


def label_files(folder: Path) -> None:
    """Label maps, packed and not, and what is made of arrays elsewhere."""
    labels = np.zeros((5, 32, 48), np.uint8)
    labels[:, 4:20, 4:20], labels[:, 8:12, 30:40] = 1, 2
    np.savez_compressed(folder / "labels.npz", labels)
    np.savez(folder / "plain.npz", labels == 1)
    np.save(folder / "array.npy", labels)
    text = np.random.default_rng(0).standard_normal((1, 3, 6)).astype(np.float32)
    np.savez(folder / "embeds.npz", prompt_embeds=text, negative_prompt_embeds=text)


def _repacked(path: Path, rng: Rng) -> None:
    """An .npz whose checksums are right and whose members are not."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = pick(rng, sorted(members))
    content = members[name]
    shape = pick(
        rng, ("(5, 32, 48)", "(10**9, 90000)", "(-1, 3)", "(True, 2)", "()", "(1,)*40", "(2**63,)", "(1e3, 2)")
    )
    type_ = pick(rng, ("|u1", "<f8", "|O", "<U9", "|V100", "<c8", "<M8[s]", "[('a', '<f4')]", "<f16", "\\0", "<i8"))
    deep = "(" * 3000 + ")" * 3000
    header = pick(rng, (f"{{'descr': '{type_}', 'fortran_order': False, 'shape': {shape}, }}", deep, "{}", "[]", "1"))
    if rng.random() < 0.7:
        packed = header.encode("latin1", "replace").ljust(118) + b"\n"
        content = content[:8] + len(packed).to_bytes(2, "little") + packed + content[10 + 118 :]
    members[pick(rng, (name, "other.npy", "../../x.npy", "x.txt"))] = content
    if rng.random() < 0.2:
        members["bomb.npy"] = content[:128] + bytes(300 << 20)
    method = pick(rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(member, data)


@door("arrays", label_files, share=2)
def _arrays(folder: Path, rng: Rng) -> Callable[[], object]:
    path = pick(rng, sorted(path for path in folder.iterdir() if path.name != "embeds.npz"))
    if path.suffix == ".npz" and rng.random() < 0.5:
        _repacked(path, rng)
    else:
        damage_file(path, rng)
    readers: tuple[Callable[[Path], object], ...] = (
        *(arrays.read_arrays, masks.read_masks, vp_jax.read_mask, masks.is_static),
        lambda path: MaskFile(path).check(),
        lambda path: MaskFile(path, 2).holes([0, 4]),
        lambda path: arrays.read_arrays(read_bytes(path)),
    )
    return lambda: _all_of(readers, path)


@door("embeddings", label_files)
def _embeddings(folder: Path, rng: Rng) -> Callable[[], object]:
    path = folder / "embeds.npz"
    kind = rng.random()
    if kind < 0.3:
        _repacked(path, rng)
    elif kind < 0.7:
        value = pick(rng, (np.nan, np.inf, -np.inf, 1e300, 1e38, 0.0))
        type_ = pick(rng, (np.float64, np.float32, np.float16, np.int64, np.complex64, bool))
        shape = pick(rng, ((1, 3, 6), (3, 6), (2, 3, 6), (1, 0, 6), (0, 3, 6), (1, 3, 0), (), (1, 3, 6, 1)))
        array = np.ones(shape)
        array[...] = np.where(np.arange(array.size).reshape(shape) % 5 == 0, value, array)
        with np.errstate(all="ignore"):
            np.savez(path, prompt_embeds=array.astype(type_), negative_prompt_embeds=array.astype(type_))
    else:
        damage_file(path, rng)

    def read() -> None:
        prompt = Prompt.read(path)
        if not all(np.isfinite(array).all() and array.size for array in prompt):
            raise Wrong(f"embeddings that are not finite, or empty: {[array.shape for array in prompt]}")

    return read


def captions(folder: Path) -> None:
    """A caption, and the packaged vocabulary."""
    (folder / "caption.txt").write_text("a red circle moves to the left\nover a blue ground\n")
    (folder / "spiece.model").write_bytes(
        (Path(vp_jax.__file__).parent / "nano" / "tokenizer" / "spiece.model").read_bytes()
    )


@door("captions", captions)
def _captions(folder: Path, rng: Rng) -> Callable[[], object]:
    from vp_jax.media.inputs import read_text
    from vp_jax.models.tokenizer import Tokenizer

    path, vocabulary = folder / "caption.txt", folder / "spiece.model"
    if rng.random() < 0.5:
        path.write_bytes(damaged_text(path.read_bytes(), rng))
    elif rng.random() < 0.3:
        replace_by_odd_thing(path, rng)
    else:
        damage_one(folder, rng)

    def read() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            tokenizer = Tokenizer(vocabulary)
            text = read_text(path)
        ids = tokenizer.encode([text], 24)
        tokenizer.unused(text, 24)
        if ids.min() < 0 or ids.max() >= tokenizer.vocab_size:
            raise Wrong(f"ids {ids.min()} to {ids.max()} of {tokenizer.vocab_size}")

    return read
