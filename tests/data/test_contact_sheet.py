"""Contact sheets of training examples: every kind of augmentation, with the hole tinted."""

import numpy as np

from vp_jax.data.augment import FAMILIES, MORPHOLOGY
from vp_jax.data.clips import Resize
from vp_jax.data.contact_sheet import contact_sheet, every_family


def test_every_family_and_morphology_has_a_row(source):
    rows = every_family(source, Resize(32, 48), frames=9)
    brushes = [f"brush: {name}" for name in MORPHOLOGY]
    assert [title for title, _, _ in rows] == ["untouched", FAMILIES[0], *brushes, *FAMILIES[1:]]
    for _, frames_FHWC, masks_FHW in rows:
        assert frames_FHWC.shape == (9, 32, 48, 3) and masks_FHW.shape == (9, 32, 48)


def test_the_hole_is_tinted_red_and_the_rest_is_the_frame():
    frames_FHWC = np.full((3, 40, 60, 3), 100, np.uint8)
    masks_FHW = np.zeros((3, 40, 60), np.uint8)
    masks_FHW[:, 10:30, 20:40] = 1
    sheet = np.asarray(contact_sheet([("a", frames_FHWC, masks_FHW)], columns=3, width=60))
    assert sheet.shape == (4 + 14 + 40 + 4, 4 + 3 * 64, 3)
    for column in range(3):
        tile = sheet[18:58, 4 + 64 * column :][:, :60]
        assert (tile[12:28, 22:38] == (185, 61, 61)).all() and (tile[:8] == 100).all() and (tile[:, :18] == 100).all()
