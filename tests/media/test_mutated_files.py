"""Damaged files of every kind: read, or refused in one line; nothing else, through any reader."""

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media import arrays, images, masks, video

CLIP = clip_files.moving(4, 32, 32)
GREY = np.repeat((CLIP[..., :1] > 127) * np.uint8(255), 3, axis=3)


def mp4(path):
    return clip_files.encode(path.with_suffix(".mp4"), GREY)


def mkv(path):
    return clip_files.encode(path.with_suffix(".mkv"), GREY, codec="ffv1")


def png(path):
    Image.fromarray(GREY[0]).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


def jpg(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY[0]).save(path.with_suffix(".jpg"), exif=exif)
    return path.with_suffix(".jpg")


def gif(path):
    films = [Image.fromarray(frame) for frame in GREY]
    films[0].save(path.with_suffix(".gif"), save_all=True, append_images=films[1:], duration=125)
    return path.with_suffix(".gif")


def npz(path):
    np.savez_compressed(path.with_suffix(".npz"), (GREY[..., 0] > 0).astype(np.uint8))
    return path.with_suffix(".npz")


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, flip bits, overwrite, remove, insert, or put a number of all ones near the start."""
    data, place = bytearray(content), int(rng.integers(len(content)))
    noise = rng.integers(0, 256, 30, dtype=np.uint8).tobytes()
    kind = int(rng.integers(6))
    if kind == 0:
        del data[place:]
    elif kind == 1:
        for spot in rng.integers(len(data), size=8):
            data[spot] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        data[place : place + len(noise)] = noise
    elif kind == 3:
        del data[place : place + 9]
    elif kind == 4:
        data[place:place] = noise
    else:
        start = place % min(len(data), 200)
        data[start : start + 4] = b"\xff" * 4
    return bytes(data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [mp4, mkv, png, jpg, gif, npz], ids=lambda make: make.__name__)
def test_damage_is_one_line(tmp_path, make):
    path, rng = make(tmp_path / "clip"), np.random.default_rng(0)
    content, refused = path.read_bytes(), 0
    readers = (video.probe, video.read_video, masks.read_masks, images.read_image, arrays.read_arrays)
    for _ in range(25):
        path.write_bytes(mutated(content, rng))
        for read in readers:
            try:
                read(path)
            except UserError as error:
                refused += 1
                assert "\n" not in str(error) and len(str(error)) < 1000
    assert refused > 25
