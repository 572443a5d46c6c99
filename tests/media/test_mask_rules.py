"""Rules of masks: chosen by the complete file, kept while it does not change, refused where nothing decides."""

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from vp_jax.errors import UserError
from vp_jax.media import mask_rules
from vp_jax.media.images import Picture
from vp_jax.media.mask_rules import MaskRule, rule_of
from vp_jax.media.masks import MaskFile, read_masks

F, H, W = 6, 16, 24
HOLES = np.zeros((F, H, W), bool)
HOLES[2:, 4:12, 6:18] = True


def folder(tmp_path, images):
    return clip_files.folder(tmp_path / "mask", np.asarray(images))


def test_a_window_without_a_hole_follows_the_rule_of_the_file(tmp_path):
    """Frames 0 and 1 hold noise up to 1: alone they would look like a mask of 0 and 1."""
    noisy = HOLES * np.uint8(255)
    noisy[:2] = np.random.default_rng(0).integers(0, 2, (2, H, W))
    mask = MaskFile(folder(tmp_path, noisy))
    assert not mask.holes([0, 1]).any() and not read_masks(mask.path, stop=2).any()
    np.testing.assert_array_equal(mask.holes([1, 2, 5]), HOLES[[1, 2, 5]])


@pytest.mark.parametrize(
    "values, name",
    [(HOLES * np.uint8(255), "bright"), (HOLES * np.uint8(1), "nonzero"), (HOLES * np.uint8(0), "empty")],
    ids=["255", "1", "0"],
)
def test_rules_by_brightness(tmp_path, values, name):
    path = folder(tmp_path, values)
    rule = rule_of(path, None)
    assert rule.name == name and bool(rule.note) == (name == "nonzero")
    np.testing.assert_array_equal(read_masks(path), HOLES & (name != "empty"))


def test_a_lossy_mask_of_0_and_1_is_refused(tmp_path):
    path = clip_files.folder(tmp_path / "mask", HOLES * np.uint8(1), names="{:05d}.jpg")
    with pytest.raises(UserError, match="brightest value is 1, a hole has 128 or more; for labels give mask_id"):
        rule_of(path, None)


def test_the_search_ends_at_the_first_hole(tmp_path, monkeypatch):
    path, seen = folder(tmp_path, HOLES * np.uint8(255)), []
    plain = mask_rules._Search._settled_by
    monkeypatch.setattr(
        mask_rules._Search, "_settled_by", lambda self, picture, name: seen.append(name) or plain(self, picture, name)
    )
    rule_of(path, None)
    assert len(seen) == 3
    rule_of(path, None)
    assert len(seen) == 3, "remembered"
    Image.fromarray(HOLES[3] * np.uint8(200)).save(path / "00000.png")
    rule_of(path, None)
    assert len(seen) == 4, "forgotten when a file changes"


def rgba(colour, alpha):
    return np.dstack([np.broadcast_to(np.uint8(colour), (H, W, 3)), alpha])


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (90, 120, 30)], ids=str)
def test_transparency_decides_where_there_is_one_colour(tmp_path, colour):
    path = folder(tmp_path, [rgba(colour, hole * np.uint8(255)) for hole in HOLES])
    assert rule_of(path, None).name == "opaque"
    assert MaskFile(path).check() == "its transparency marks the hole: what is opaque is generated"
    np.testing.assert_array_equal(read_masks(path), HOLES)


def test_black_and_white_decides_over_transparency(tmp_path):
    """Painted in white and black on nothing: white is the hole."""
    images = [rgba((0, 0, 0), np.full((H, W), 255, np.uint8)) for _ in HOLES]
    for image, hole in zip(images, HOLES):
        image[hole, :3] = 255
        image[:2, :, 3] = 0
    path = folder(tmp_path, images)
    assert rule_of(path, None).name == "bright"
    np.testing.assert_array_equal(read_masks(path), HOLES)


def test_a_picture_with_transparent_parts_is_refused(tmp_path):
    images = [rgba((0, 0, 0), (~hole) * np.uint8(255)) for hole in HOLES]
    for image, frame in zip(images, clip_files.moving(F, H, W)):
        image[..., :3] = frame
    with pytest.raises(UserError, match="neither its colours nor its transparency alone say"):
        rule_of(folder(tmp_path, images), None)


def test_slight_transparency_does_not_decide(tmp_path):
    path = folder(tmp_path, [rgba((255, 255, 255), np.full((H, W), 250, np.uint8))] * 2)
    assert rule_of(path, None).name == "bright"


PICTURES = {
    "colour": Picture(np.zeros((H, W, 3), np.uint8)),
    "labels": Picture(np.zeros((H, W, 3), np.uint8), index_HW=HOLES[2] * 3, palette="coloured"),
    "grey": Picture(np.repeat(HOLES[2, :, :, None] * np.uint8(255), 3, 2), index_HW=HOLES[2] * 255),
}


@pytest.mark.parametrize(
    "rule, picture, message",
    [
        (MaskRule("index"), "colour", "expected label images throughout"),
        (MaskRule("index"), "grey", "expected label images throughout"),
        (MaskRule("label", 3), "colour", "expected label images throughout"),
        (MaskRule("bright"), "labels", "expected label images throughout"),
    ],
)
def test_mixed_kinds_are_refused(rule, picture, message):
    with pytest.raises(UserError, match=f"x.png: {message}"):
        rule.hole(PICTURES[picture], "x.png")


@pytest.mark.parametrize(
    "rule, picture", [(MaskRule("index"), "labels"), (MaskRule("label", 3), "labels"), (MaskRule("label", 255), "grey"),
                      (MaskRule("bright"), "grey"), (MaskRule("opaque"), "colour")],
)  # fmt: skip
def test_rules_give_their_hole(rule, picture):
    expected = np.ones((H, W), bool) if rule.name == "opaque" else HOLES[2]
    np.testing.assert_array_equal(rule.hole(PICTURES[picture], "x.png"), expected)
