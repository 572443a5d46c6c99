"""The clip that the packaged model is shown on."""

import numpy as np

from vp_jax.jobs import packaged
from vp_jax.media.masks import dilate
from vp_jax.media.video import read_video
from vp_jax.world.synthetic import HELD_OUT, World


def test_the_clip_is_a_held_out_one_with_a_grown_mask(tmp_path):
    clip = World(packaged.CLIP + 1, *packaged.CLIP_SIZE, first=HELD_OUT)[packaged.CLIP]
    truth, masks = clip.read(np.arange(packaged.CLIP_SIZE[0]))
    fields = packaged.demonstration(tmp_path / "nano.mp4")
    assert fields["video"] == tmp_path / "nano_source.mkv" and fields["mask"] == tmp_path / "nano_mask.mkv"
    assert fields["prompt"] == clip.caption and fields["first_frame"] == "original" and fields["demonstration"]
    assert not list(tmp_path.iterdir())  # nothing is written before the job is checked
    packaged.write_clip(fields["video"], fields["mask"])
    frames, fps = read_video(fields["video"])
    np.testing.assert_array_equal(frames, truth)
    assert fps == 8
    holes = read_video(fields["mask"])[0][..., 0] > 127
    np.testing.assert_array_equal(holes, dilate(masks > 0, packaged.GROW))
