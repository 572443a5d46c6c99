"""What a running job reports: each kind of event once, in the order of the work."""

from contextlib import closing
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.painter import painter  # noqa: F401
from vp_jax.inference.plan import Position
from vp_jax.jobs.events import Arrived, Done, MediaRead, Note, Planned
from vp_jax.jobs.job import Job
from vp_jax.jobs.run import run


@pytest.fixture
def job(tmp_path):
    """A small job on frames and one mask."""
    (tmp_path / "weights").mkdir()
    clip_files.folder(tmp_path / "video", clip_files.moving(14, 45, 61))
    hole_HW = np.zeros((45, 61), np.uint8)
    hole_HW[10:30, 20:45] = 255
    Image.fromarray(hole_HW).save(tmp_path / "mask.png")
    files = {"video": tmp_path / "video", "mask": tmp_path / "mask.png", "out": tmp_path / "out.mkv"}
    return Job(checkpoint=tmp_path / "weights", prompt="a pink wall", settings={"steps": 2}, **files)


def test_events_come_in_the_order_of_the_work(job, painter):  # noqa: F811
    with closing(run(job)) as events:
        seen = list(events)
    kinds = [kind for kind, _ in groupby(type(event) for event in seen if not isinstance(event, Arrived))]
    assert kinds == [MediaRead, Planned, Position, Note, Done]
    assert seen[-2] == Note("outside", "of the hole unchanged, over 14 frames of the written file")
    arrived = [event for event in seen if isinstance(event, Arrived)]
    assert [number for e in arrived for number in range(e.start, e.start + len(e.frames_FHWC))] == list(range(14))
    read, planned, done = seen[0], seen[1], seen[-1]
    assert 0 < read.hole_share < 1 and 0 < read.hole_frames <= read.frames == planned.frames
    assert planned.source_size == read.size and planned.plan.output_frames == read.frames
    assert all(path.exists() for path in planned.files)
    assert set(done.seconds) == {"read", "load", "encode_prompt", "inpaint", "write"}
    assert np.isfinite(list(done.seconds.values())).all()
