"""A preview shows the mask and what is odd about it, and generates nothing."""

import numpy as np
import pytest
from PIL import Image

from vp_jax.errors import UserError
from vp_jax.jobs.events import MediaRead, Note
from vp_jax.jobs.job import Job
from vp_jax.jobs.preview import write_preview
from vp_jax.jobs.run import run
from vp_jax.media.mask_check import check_masks
from vp_jax.media.video_writer import write_video


@pytest.fixture
def clip():
    """Twelve frames with a box that is lost at frame 5."""
    frames = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), np.uint8)
    holes = np.zeros((12, 48, 64), bool)
    holes[:, 10:30, 20:50] = True
    holes[5] = False
    return frames, holes


def test_it_shows_the_odd_frame_and_names_it(clip, tmp_path):
    frames, holes = clip
    check = check_masks(holes)
    write_preview(tmp_path / "a.png", frames, holes, check)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width > 6 * 320
    write_preview(tmp_path / "b.png", frames, holes, check._replace(notes=(), frames=()))
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_a_job_with_a_preview_reports_the_mask_and_writes_nothing_else(clip, tmp_path):
    frames, holes = clip
    write_video(tmp_path / "in.mkv", frames, 8)
    write_video(tmp_path / "mask.mkv", np.repeat(holes[..., None], 3, axis=3).astype(np.uint8) * 255, 8)
    before = {file.name for file in tmp_path.iterdir()}
    job = Job(
        video=tmp_path / "in.mkv",
        mask=tmp_path / "mask.mkv",
        out=tmp_path / "out.mp4",
        prompt="a box",
        preview=tmp_path / "look.png",
    )
    events = list(run(job))
    assert isinstance(events[0], MediaRead)
    assert [event.topic for event in events[1:] if isinstance(event, Note)] == ["mask", "preview"]
    assert "frame 5 is without a hole" in events[1].text
    assert {file.name for file in tmp_path.iterdir()} == before | {"look.png"}


def test_a_preview_is_a_png_and_no_input(tmp_path):
    files = {"video": tmp_path / "in.mkv", "mask": tmp_path / "in.png", "out": tmp_path / "out.mp4", "prompt": "a"}
    (tmp_path / "in.png").write_bytes(b"x")
    (tmp_path / "in.mkv").write_bytes(b"x")
    with pytest.raises(UserError, match=r"look.jpg: expected a name that ends in .png"):
        Job(**files, preview=tmp_path / "look.jpg")
    with pytest.raises(UserError, match=r"in.png would be overwritten"):
        Job(**files, preview=tmp_path / "in.png")
