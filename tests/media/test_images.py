"""Images: what they are by content, upright, in 8 bits, with transparency and labels kept apart."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media import images

CLIP = clip_files.moving(4, 16, 24)
FRAMES = [Image.fromarray(frame) for frame in CLIP]


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".webp"])
def test_lossless_images_come_back_from_files_and_bytes(tmp_path, suffix):
    path = saved(tmp_path / f"a{suffix}", FRAMES[0], **({"lossless": True} if suffix == ".webp" else {}))
    for source in (path, path.read_bytes()):
        np.testing.assert_array_equal(images.read_image(source), CLIP[0])
    info = images.image_info(path)
    assert (info.frames, info.height, info.width, info.fps) == (1, 16, 24, None)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = {
        1: CLIP[0], 2: CLIP[0][:, ::-1], 3: CLIP[0][::-1, ::-1], 4: CLIP[0][::-1], 5: CLIP[0].swapaxes(0, 1),
        6: np.rot90(CLIP[0], 1), 7: np.rot90(CLIP[0].swapaxes(0, 1), 2), 8: np.rot90(CLIP[0], -1),
    }[orientation]  # fmt: skip
    path = saved(tmp_path / "a.png", Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(images.read_image(path), CLIP[0])
    info = images.image_info(path)
    assert (info.height, info.width) == (16, 24)


def test_films_of_image_formats_have_frames_and_a_rate(tmp_path):
    kinds = {"a.png": {"duration": 125}, "a.webp": {"duration": 40, "lossless": True}, "a.tif": {}}
    for name, options in kinds.items():
        path = saved(tmp_path / name, FRAMES[0], save_all=True, append_images=FRAMES[1:], **options)
        info = images.image_info(path)
        rates = {"a.png": 8, "a.webp": 25, "a.tif": images.FOLDER_FPS}
        assert (info.frames, info.fps) == (4, Fraction(rates[name])), name
        np.testing.assert_array_equal([picture.rgb_HWC for _, picture in images.pictures(path)], CLIP)
        assert [index for index, _ in images.pictures(path, {1, 3})] == [1, 3]
        with pytest.raises(UserError, match="holds 4 pictures, expected one image"):
            images.read_image(path)


def test_transparency_is_kept_apart_and_black_when_dropped(tmp_path):
    rgba = np.dstack([CLIP[0], np.full((16, 24), 255, np.uint8)])
    assert images.read_picture(saved(tmp_path / "o.png", Image.fromarray(rgba))).alpha_HW is None, "opaque"
    rgba[4:8, :, 3] = 0
    rgba[8:12, :, 3] = 128
    picture = images.read_picture(saved(tmp_path / "a.png", Image.fromarray(rgba)))
    np.testing.assert_array_equal(picture.alpha_HW, rgba[..., 3])
    np.testing.assert_array_equal(picture.rgb_HWC, rgba[..., :3])
    over = picture.over_black()
    assert not over[4:8].any() and (over[:4] == CLIP[0][:4]).all()
    assert np.abs(over[8:12] - CLIP[0][8:12] * (128 / 255)).max() <= 0.5


@pytest.mark.parametrize(
    "palette, used, kind",
    [
        ([0, 0, 0, 255, 255, 255], 1, "grey"),
        ([0, 0, 0, 200, 0, 0], 1, "coloured"),
        ([0, 0, 0, 255, 255, 255, 9, 8, 7], 1, "spare"),
        ([0, 0, 0, 255, 255, 255, 9, 8, 7], 2, "coloured"),
    ],
)
def test_palettes_are_judged_by_the_entries_in_use(tmp_path, palette, used, kind):
    index = np.zeros((16, 24), np.uint8)
    index[3:9] = used
    image = Image.fromarray(index)
    image.putpalette(palette)
    picture = images.read_picture(saved(tmp_path / "a.png", image))
    assert picture.palette == kind
    np.testing.assert_array_equal(picture.index_HW, index)


def test_sixteen_bits_are_scaled_and_what_is_not_zero_stays_so(tmp_path):
    deep = np.array([[0, 1, 255, 256, 40000, 65535]], np.uint16)
    picture = images.read_picture(saved(tmp_path / "a.png", Image.fromarray(deep)))
    assert picture.rgb_HWC[0, :, 0].tolist() == [0, 1, 1, 1, 40000 >> 8, 255]
    np.testing.assert_array_equal(picture.index_HW, deep)


def test_lossy_formats_are_known(tmp_path):
    lossy = {name: images.read_picture(saved(tmp_path / name, FRAMES[0])).lossless for name in ("a.jpg", "a.png")}
    assert lossy == {"a.jpg": False, "a.png": True}


def floats(tmp_path):
    return saved(tmp_path / "a.tif", Image.fromarray(np.zeros((4, 4), np.float32)))


def deep_integers(tmp_path):
    return saved(tmp_path / "a.tif", Image.fromarray(np.full((4, 4), 70000, np.int32)))


def cut(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    path.write_bytes(path.read_bytes()[:-3000])
    return path


def too_large(tmp_path):
    path = saved(tmp_path / "a.png", FRAMES[0])
    content = bytearray(path.read_bytes())
    content[16:24] = (9000).to_bytes(4, "big") * 2  # the header claims 81 million pixels
    path.write_bytes(content)
    return path


def text(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    return tmp_path / "a.png"


REFUSED = [
    (floats, "its values are F"),
    (deep_integers, "values 70000 to 70000, expected 0 to 65535"),
    (cut, "cannot be read as an image"),
    (too_large, "9000x9000 pixels, expected at most 64 million|cannot be read as an image"),
    (text, "cannot be read as an image"),
    (lambda tmp_path: tmp_path, "is a folder, expected an image"),
    (lambda tmp_path: tmp_path / "none.png", "no such file"),
]


@pytest.mark.parametrize("make, message", REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_refused_in_one_line(tmp_path, make, message):
    with pytest.raises(UserError, match=message) as caught:
        images.read_image(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_more_pixels_are_read_when_asked(tmp_path):
    path = saved(tmp_path / "a.png", FRAMES[0])
    with pytest.raises(UserError, match=r"24x16 pixels, expected at most 0\.0001 million"):
        images.read_image(path, most_pixels=100)
    assert images.read_image(path, most_pixels=384).shape == (16, 24, 3)


def test_what_is_no_image_is_left_to_the_reader_of_films(tmp_path):
    assert images.image_info(text(tmp_path)) is None
    assert images.image_info(b"GIF89a") is None
