"""The mask rule table, fitting to a video, and growth by exact pixels."""

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media import masks
from vp_jax.media.video_writer import write_video

F, H, W = 5, 32, 40
HOLES = np.zeros((F, H, W), bool)
for _f in range(F):
    HOLES[_f, 8:20, 4 + 2 * _f : 20 + 2 * _f] = True
GREY = HOLES.astype(np.uint8) * 255
LABELS = HOLES.astype(np.int16)
LABELS[:, 24:, :8] = 7
DAVIS_PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128]


def indexed(folder, labels_FHW, palette):
    folder.mkdir()
    for index, label_HW in enumerate(labels_FHW):
        image = Image.fromarray(label_HW.astype(np.uint8))
        image.putpalette(palette)
        image.save(folder / f"{index:05d}.png")
    return folder


def grey_video(tmp_path):
    return clip_files.encode(tmp_path / "mask.mp4", np.repeat(GREY[..., None], 3, axis=3))


def lossless_video(tmp_path):
    write_video(tmp_path / "mask.mkv", np.repeat(GREY[..., None], 3, axis=3), 8)
    return tmp_path / "mask.mkv"


def grey_folder(tmp_path):
    return clip_files.folder(tmp_path / "mask", GREY)


def jpeg_folder(tmp_path):
    return clip_files.folder(tmp_path / "mask", GREY, names="{}.jpg")


def colour_folder(tmp_path):
    red = np.zeros((F, H, W, 3), np.uint8)
    red[HOLES] = (200, 0, 0)
    return clip_files.folder(tmp_path / "mask", red)


def transparent_folder(tmp_path):
    white = np.full((F, H, W, 4), 255, np.uint8)
    white[~HOLES, 3] = 0
    return clip_files.folder(tmp_path / "mask", white)


def unscaled_folder(tmp_path):
    return clip_files.folder(tmp_path / "mask", HOLES.astype(np.uint8))


def bit_folder(tmp_path):
    return clip_files.folder(tmp_path / "mask", HOLES)


def deep_folder(tmp_path):
    return clip_files.folder(tmp_path / "mask", HOLES.astype(np.uint16) * 65535)


def davis_folder(tmp_path):
    return indexed(tmp_path / "mask", HOLES * 3, DAVIS_PALETTE)


def davis_folder_with_an_empty_frame(tmp_path):
    path = indexed(tmp_path / "mask", HOLES * 2, DAVIS_PALETTE)
    image = Image.fromarray(np.zeros((H, W), np.uint8))
    image.putpalette(DAVIS_PALETTE)
    image.save(path / "00001.png")
    return path


def grey_palette_folder(tmp_path):
    return indexed(tmp_path / "mask", ~HOLES, [255, 255, 255, 0, 0, 0, 9, 90, 200])  # index 0 is the white


def label_archive(tmp_path):
    np.savez_compressed(tmp_path / "all_masks.npz", HOLES.astype(np.int32) * 4)
    return tmp_path / "all_masks.npz"


def bool_archive(tmp_path):
    np.savez(tmp_path / "all_masks.npz", HOLES)
    return tmp_path / "all_masks.npz"


SOURCES = [
    grey_video, lossless_video, grey_folder, jpeg_folder, colour_folder, transparent_folder, unscaled_folder,
    bit_folder, deep_folder, davis_folder, grey_palette_folder, label_archive, bool_archive,
]  # fmt: skip


@pytest.mark.parametrize("make", SOURCES, ids=[make.__name__ for make in SOURCES])
def test_rule_table(tmp_path, make):
    path = make(tmp_path)
    holes = masks.read_masks(path)
    assert holes.dtype == bool
    np.testing.assert_array_equal(holes, HOLES)
    np.testing.assert_array_equal(masks.read_masks(path, start=1, stop=5, step=2), HOLES[1:5:2])
    np.testing.assert_array_equal(np.stack(masks.stream_masks(path)), HOLES)
    part = masks.stream_masks(path, start=1, stop=5, step=2)
    assert part.shape == HOLES[1:5:2].shape and not isinstance(part, np.ndarray)
    np.testing.assert_array_equal(part[1], HOLES[3])


def test_palette_frames_without_object_are_empty(tmp_path):
    holes = masks.read_masks(davis_folder_with_an_empty_frame(tmp_path))
    assert not holes[1].any()
    np.testing.assert_array_equal(holes[2:], HOLES[2:])


def test_threshold_is_128(tmp_path):
    Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)).save(tmp_path / "m.png")
    assert masks.read_masks(tmp_path / "m.png").tolist() == [[[False, False, True, True]]]


@pytest.mark.parametrize("mask_id, expected", [(1, HOLES), (7, LABELS == 7)])
def test_labels_are_chosen_by_id(tmp_path, mask_id, expected):
    np.savez(tmp_path / "all_masks.npz", LABELS)
    sources = [tmp_path / "all_masks.npz", clip_files.folder(tmp_path / "grey", LABELS.astype(np.uint8))]
    sources.append(indexed(tmp_path / "palette", LABELS, list(range(256)) * 3))
    for path in sources:
        np.testing.assert_array_equal(masks.read_masks(path, mask_id=mask_id), expected)
        np.testing.assert_array_equal(np.stack(masks.stream_masks(path, mask_id=mask_id)), expected)


def one_image_holds_for_all(tmp_path):
    Image.fromarray(GREY[0]).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def test_a_single_image_is_static(tmp_path):
    path = one_image_holds_for_all(tmp_path)
    holes = masks.align(masks.read_masks(path), frames=9, height=H, width=W, static=masks.is_static(path))
    np.testing.assert_array_equal(holes, np.repeat(HOLES[:1], 9, axis=0))
    assert holes.strides[0] == 0  # one hole in memory, whatever the length


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 4, 5, 13, 16])
def test_growth_is_exact_on_every_side(radius):
    holes = np.zeros((2, 48, 50), bool)
    holes[0, 20, 25] = holes[1, 18:22, 20] = True
    expected = np.zeros_like(holes)
    expected[0, 20 - radius : 21 + radius, 25 - radius : 26 + radius] = True
    expected[1, 18 - radius : 22 + radius, 20 - radius : 21 + radius] = True
    np.testing.assert_array_equal(masks.dilate(holes, radius), expected)


def test_growth_equals_a_maximum_filter_on_any_shape():
    holes = np.random.default_rng(0).random((3, 37, 41)) > 0.98
    for radius in (1, 6, 9, 30, 60):
        expected = scipy.ndimage.maximum_filter(holes, size=(1, 2 * radius + 1, 2 * radius + 1), mode="constant")
        np.testing.assert_array_equal(masks.dilate(holes, radius), expected)


def test_align_resizes_inverts_then_grows():
    small = HOLES[:, ::2, ::2]
    holes = masks.align(small, frames=F, height=H, width=W, resize=True, invert=True, grow=1)
    nearest = small.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(holes, masks.dilate(~nearest, 1))


@pytest.mark.parametrize(
    "holes, options, message",
    [
        (HOLES, {"frames": 6}, "mask has 5 frames, the video 6"),
        (HOLES[:1], {}, "1 frames, the video 5.*give the image file itself"),
        (HOLES[:, :, 1:], {}, r"mask is 39x32 pixels, the video 40x32.*mask_resize"),
        (HOLES & False, {}, "empty in every frame"),
        (HOLES | True, {}, "covers every frame"),
        (HOLES | True, {"invert": True}, "empty in every frame"),
        (HOLES, {"grow": 40}, "covers every frame"),
        (HOLES, {"grow": -1}, "mask_dilate -1"),
    ],
)
def test_masks_that_do_not_fit(holes, options, message):
    with pytest.raises(UserError, match=message) as caught:
        masks.align(holes, **{"frames": F, "height": H, "width": W, **options})
    assert "\n" not in str(caught.value)


def several_labels(tmp_path):
    np.savez(tmp_path / "m.npz", LABELS)
    return tmp_path / "m.npz"


def no_array(tmp_path):
    np.savez(tmp_path / "m.npz", a=LABELS, b=LABELS)
    return tmp_path / "m.npz"


def float_array(tmp_path):
    np.savez(tmp_path / "m.npz", LABELS / 2)
    return tmp_path / "m.npz"


def flat_array(tmp_path):
    np.savez(tmp_path / "m.npz", LABELS[0])
    return tmp_path / "m.npz"


def no_archive(tmp_path):
    (tmp_path / "m.npz").write_bytes(b"PK\x03\x04 broken")
    return tmp_path / "m.npz"


def bare_array(tmp_path):
    with (tmp_path / "m.npz").open("wb") as file:
        np.save(file, LABELS)
    return tmp_path / "m.npz"


def truncated_archive(tmp_path):
    path = several_labels(tmp_path)
    path.write_bytes(path.read_bytes()[:4000])
    return path


def missing(tmp_path):
    return tmp_path / "none.png"


def faint(tmp_path):
    return clip_files.folder(tmp_path / "m", HOLES.astype(np.uint8) * 3)


def mixed_sizes(tmp_path):
    path = clip_files.folder(tmp_path / "m", GREY)
    Image.new("L", (9, 9)).save(path / "00002.png")
    return path


def mixed_kinds(tmp_path):
    path = davis_folder(tmp_path)
    Image.fromarray(GREY[0]).save(path / "00002.png")
    return path


def unreadable(tmp_path):
    (tmp_path / "m.png").write_text("no image")
    return tmp_path / "m.png"


@pytest.mark.parametrize(
    "make, mask_id, message",
    [
        (several_labels, None, "holds labels 0, 1, 7; choose the hole with mask_id"),
        (several_labels, 3, "no pixel has label 3, expected one of 0, 1, 7"),
        (no_array, None, "holds a, b, expected arr_0"),
        (float_array, None, "float64 of shape .*expected integers"),
        (flat_array, None, "expected integers"),
        (no_archive, None, "cannot be read as a NumPy file"),
        (bare_array, None, "holds labels 0, 1, 7"),
        (truncated_archive, None, "cannot be read as a NumPy file"),
        (missing, None, "no such file"),
        (faint, None, "brightest value is 3.*mask_id"),
        (mixed_sizes, None, "00002.png: 9x9 pixels, but the frames before it are 40x32"),
        (mixed_kinds, None, "expected label images throughout"),
        (unreadable, None, "cannot be read as a video or an image"),
        (grey_video, 2, "a video holds none"),
        (colour_folder, 2, "expected label images throughout"),
    ],
)
def test_bad_masks_give_one_line(tmp_path, make, mask_id, message):
    with pytest.raises(UserError, match=message) as caught:
        masks.read_masks(make(tmp_path), mask_id=mask_id)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [grey_folder, lossless_video, label_archive], ids=lambda make: make.__name__)
def test_a_range_past_the_end_does_not_fit(tmp_path, make):
    with pytest.raises(UserError, match=r"no masks left|0 frames"):
        holes = masks.read_masks(make(tmp_path), start=10)
        masks.align(holes, frames=3, height=H, width=W)


def test_a_file_that_fails_while_it_is_read_cannot_be_read(tmp_path):
    (tmp_path / "mask.npz").symlink_to("/proc/self/mem")  # regular by its mode, and every read fails
    with pytest.raises(UserError, match="cannot be read") as caught:
        masks.read_masks(tmp_path / "mask.npz")
    assert "written" not in str(caught.value)
