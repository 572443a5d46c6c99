"""Transforms: which frames, resizing and latent masks against torch's, ranges, distributions of the draws."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from vp_jax.data.augment import MaskAugment
from vp_jax.data.clips import (
    AugmentMasks,
    ChooseWindow,
    CoverCells,
    DropCaption,
    ImageNoise,
    Read,
    Resize,
    SelectKeys,
    ShowFirstFrame,
    Tokenize,
    to_model_range,
)
from vp_jax.data.records import BadRecord, ClipInfo


@dataclass(frozen=True)
class Sized:
    """A clip that only knows its length and rate."""

    frames: int
    fps: float

    def open(self) -> ClipInfo:
        return ClipInfo(self.frames, self.fps)


def window(frames: int, fps: float, seed: int = 0) -> np.ndarray:
    return ChooseWindow(49)({"clip": Sized(frames, fps)}, np.random.default_rng(seed))["indices"]


@pytest.mark.parametrize("fps, stride", [(24, 3), (25, 3), (29.97, 3), (30, 3), (60, 7), (8, 1), (15.9, 1), (5, 1)])
def test_every_kth_frame(fps, stride):
    indices_F = window(49 * stride, fps)
    np.testing.assert_array_equal(indices_F, stride * np.arange(49))


def test_windows_start_everywhere_and_stay_inside():
    """60 kept frames have twelve windows of 49, both ends included."""
    starts = {int(window(60 * 3 - 2, 24, seed)[0]) for seed in range(300)}
    assert starts == {3 * start for start in range(12)}


def test_short_clips_are_bad_records():
    with pytest.raises(BadRecord, match="144 frames at 24 fps leave 48 of the 49"):
        window(144, 24)


def test_low_rates_are_noted():
    example = ChooseWindow(9)({"clip": Sized(20, 5.0)}, np.random.default_rng(0))
    assert "5 fps is below 8" in example["note"] and example["fps"] == 5


@pytest.mark.parametrize("native", [(72, 128), (30, 40), (48, 64), (61, 47)])
def test_stretching_is_antialiased_bilinear(native):
    rng = np.random.default_rng(0)
    frames_FHWC = rng.integers(0, 256, size=(2, *native, 3), dtype=np.uint8)
    coarse = rng.random((2, native[0] // 6 + 1, native[1] // 6 + 1)) < 0.5
    masks_FHW = np.kron(coarse, np.ones((6, 6)))[:, : native[0], : native[1]].astype(np.uint8)
    example = Resize(48, 64)({"pixels": frames_FHWC, "masks": masks_FHW}, rng)

    def reference(x_FCHW: np.ndarray) -> np.ndarray:
        resized = torch.nn.functional.interpolate(
            torch.from_numpy(x_FCHW).float(), (48, 64), mode="bilinear", antialias=True, align_corners=False
        )
        return resized.numpy()

    pixels = reference(frames_FHWC.transpose(0, 3, 1, 2)).round().transpose(0, 2, 3, 1)
    assert np.abs(example["pixels"] - pixels).max() <= 1
    weight_FHW = reference(masks_FHW[:, None])[:, 0]
    # 8-bit weights may fall either way within half a level of the threshold
    clear = np.abs(weight_FHW - 0.5) > 1 / 255
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(example["masks"][clear], (weight_FHW > 0.5)[clear])


def test_center_covers_and_cuts():
    ramp_FHWC = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, None, :, None], (1, 100, 200, 3))
    out_FHWC = Resize(50, 50, "center").frames(np.ascontiguousarray(ramp_FHWC))
    assert out_FHWC.shape == (1, 50, 50, 3)
    np.testing.assert_allclose(out_FHWC[0, 25, [0, 25, 49], 0], [50.5, 100.5, 148.5], atol=1.5)
    with pytest.raises(ValueError, match="stretch or center"):
        Resize(mode="crop")


def test_a_still_mask_is_resized_once_to_the_same_result():
    mask_HW = (np.random.default_rng(0).random((30, 40)) < 0.5).astype(np.uint8)
    still = np.broadcast_to(mask_HW, (5, 30, 40))
    np.testing.assert_array_equal(Resize(16, 16).masks(still), Resize(16, 16).masks(still.copy()))


def test_model_range_is_the_reference_s():
    rng = np.random.default_rng(0)
    batch = {"pixels": rng.integers(0, 256, (1, 3, 8, 8, 3), dtype=np.uint8), "masks": np.zeros((1, 3, 8, 8), np.uint8)}
    batch["masks"][:, 1:, :4] = 1
    out = to_model_range(batch)
    video = torch.from_numpy(batch["pixels"]).float() / 127.5 - 1
    np.testing.assert_array_equal(out["pixels_BFHWC"], video.numpy())
    assert (out["masked_BFHWC"][:, 1:, :4] == -1).all()
    np.testing.assert_array_equal(out["masked_BFHWC"][:, :, 4:], out["pixels_BFHWC"][:, :, 4:])
    np.testing.assert_array_equal(out["masked_BFHWC"][:, 0], out["pixels_BFHWC"][:, 0])
    assert all(x.dtype == np.float32 for x in out.values())


def test_the_first_frame_has_no_hole():
    masks_FHW = np.ones((3, 4, 4), np.uint8)
    got_FHW = ShowFirstFrame()({"masks": masks_FHW}, np.random.default_rng(0))["masks"]
    assert not got_FHW[0].any() and got_FHW[1:].all() and masks_FHW.all()


def test_captions_are_dropped_as_often_as_asked():
    rng = np.random.default_rng(0)
    empty = sum(DropCaption(0.1)({"caption": "x"}, rng)["caption"] == "" for _ in range(2000))
    assert abs(empty - 200) <= 4 * np.sqrt(2000 * 0.09)
    assert DropCaption(0)({"caption": "x"}, rng)["caption"] == "x"


def test_image_noise_has_the_stated_distribution():
    rng = np.random.default_rng(0)
    draws = [ImageNoise()({}, rng) for _ in range(4000)]
    logs = np.log([draw["image_sigma"] for draw in draws])
    assert abs(logs.mean() + 3) < 4 * 0.5 / np.sqrt(4000) and abs(logs.std() - 0.5) < 0.03
    kept = np.mean([draw["image_keep"] for draw in draws])
    assert abs(kept - 0.95) < 4 * np.sqrt(0.05 * 0.95 / 4000)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@dataclass(frozen=True)
class Stored(Sized):
    """A clip with pixels and masks of a given shape."""

    masks: tuple[int, ...] = (3, 4, 6)

    id = "a clip"
    caption = "what it shows"
    origin = "file:3"

    def read(self, indices_F):
        return np.full((len(indices_F), 4, 6, 3), indices_F[0], np.uint8), np.ones(self.masks, np.uint8)


def test_reading_takes_the_chosen_frames_and_names_the_clip():
    example = Read()({"clip": Stored(10, 8), "indices": np.array([4, 5, 6]), "kept": 1}, rng())
    assert (example["pixels"] == 4).all() and example["masks"].shape == (3, 4, 6)
    assert (example["caption"], example["id"], example["origin"]) == ("what it shows", "a clip", "file:3")
    assert example["kept"] == 1


def test_masks_of_another_shape_are_bad_records():
    clip = Stored(10, 8, masks=(3, 4, 5))
    with pytest.raises(BadRecord, match=r"masks are \(3, 4, 5\), frames \(3, 4, 6\)"):
        Read()({"clip": clip, "indices": np.arange(3)}, rng())


def test_the_rate_is_that_of_the_chosen_frames():
    example = ChooseWindow(9)({"clip": Sized(100, 30.0)}, rng())
    assert example["fps"] == 10 and "note" not in example, "every third of 30"


def test_masks_are_augmented_and_frames_are_not():
    masks_FHW = np.zeros((2, 60, 60), np.uint8)
    masks_FHW[:, 20:40, 20:40] = 1
    example = {"pixels": np.zeros((2, 60, 60, 3), np.uint8), "masks": masks_FHW}
    always = MaskAugment(1.0, p_brush=0, p_rect=0, p_ellipse=0, p_circle=1, p_random_brush=0)
    changed = AugmentMasks(always)(example, rng())
    assert changed["pixels"] is example["pixels"] and (changed["masks"] != masks_FHW).any()
    np.testing.assert_array_equal(changed["masks"], always(masks_FHW, rng()))


def test_the_latent_mask_has_every_cell_that_a_hole_touches():
    """The first frame by itself, then four frames and 8 x 8 pixels at a time; the hole stays as it is."""
    masks_FHW = np.zeros((9, 16, 24), np.uint8)
    masks_FHW[6, 9, 17] = 1
    made = CoverCells()({"masks": masks_FHW}, rng())
    want_Thw = np.zeros((3, 2, 3), np.float32)
    want_Thw[2, 1, 2] = 1
    np.testing.assert_array_equal(made["mask"], want_Thw)
    assert made["masks"] is masks_FHW and made["masks"].sum() == 1


def test_captions_become_numbers_by_any_callable():
    example = Tokenize(lambda text: [len(text), 7])({"caption": "abc"}, rng())
    assert example["input_ids"].dtype == np.int32 and example["input_ids"].tolist() == [3, 7]
    assert example["caption"] == "abc"


def test_only_named_keys_go_into_a_batch():
    assert SelectKeys(("a", "c"))({"a": 1, "b": 2}, rng()) == {"a": 1}


def test_the_middle_of_tall_and_wide_pictures_is_kept():
    """Masks are cut like frames: a hole in the left third of a wide clip is gone."""
    masks_FHW = np.zeros((1, 20, 60), np.uint8)
    masks_FHW[:, :, :20] = 1
    assert not Resize(20, 20, "center").masks(masks_FHW).any()
    assert Resize(20, 20, "stretch").masks(masks_FHW)[0, :, :6].all()
    tall_FHW = np.ascontiguousarray(masks_FHW.swapaxes(1, 2))
    assert not Resize(20, 20, "center").masks(tall_FHW).any()
    masks_FHW[:, :, 20:40] = 1
    assert Resize(20, 20, "center").masks(masks_FHW).all()


def test_what_a_tokenizer_does_not_use_is_marked_and_noted():
    class Words:
        def __call__(self, text):
            return np.zeros(2, np.int32)

        def unused(self, text):
            return " ".join(text.split()[2:])

    cut, read = (Tokenize.by(Words())({"caption": text, "note": "slow"}, rng()) for text in ("a b c d", "a b"))
    assert cut["unread"] and cut["note"] == "slow; its caption is not read completely: c d"
    assert not read["unread"] and read["note"] == "slow"
    assert "unread" not in Tokenize.by(lambda text: [1])({"caption": "a"}, rng())
