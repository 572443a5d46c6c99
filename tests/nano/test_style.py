"""The style LoRA of six clips: its data, and the picture before and after."""

import numpy as np
import pytest
from PIL import Image

from bench import style
from vp_jax.errors import UserError
from vp_jax.media.video import read_video


def test_six_clips_come_with_captions_that_name_the_style(tmp_path):
    style.write_clips(tmp_path)
    videos = sorted(tmp_path.glob("*.mkv"))
    assert len(videos) == 6 and read_video(videos[0])[0].shape == (34, 64, 96, 3)
    assert all(path.with_suffix(".txt").read_text().startswith("flat a") for path in videos)


def test_the_picture_has_four_rows_for_every_clip(tmp_path):
    pixels = np.zeros((17, 64, 96, 3), np.uint8)
    holes = np.ones((17, 64, 96), bool)
    style.picture([style.Filled(pixels, holes, pixels, pixels)] * 2, tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width > 5 * 192 and picture.height > 8 * 128


def test_nothing_to_train_or_to_fill_is_one_line(tmp_path):
    with pytest.raises(UserError, match="--steps 0, --clips 4: expected 1 or more"):
        style.main(["--out", str(tmp_path), "--steps", "0", "--clips", "4"])
