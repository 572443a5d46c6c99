"""Questions to a model about an edit, and what becomes of replies that nobody should follow."""

import numpy as np
import pytest

from tests.vlm.fake_server import HOSTILE, fake_server
from vp_jax.edit.ask import _box, understand
from vp_jax.edit.world import packaged_clip
from vp_jax.errors import UserError
from vp_jax.vlm import connect
from vp_jax.vlm.endpoint import Endpoint

UNDERSTOOD = {
    "possible": True,
    "operation": "swap",
    "target": "the square",
    "original_caption": "a square on dots",
    "box": [250, 250, 750, 1000],
}


@pytest.fixture(scope="module")
def video():
    return packaged_clip().read(np.arange(1))[0]


def test_the_place_can_come_from_the_model(video):
    assert _box([250, 250, 750, 1000], (64, 96)) == "box:24,16,48,48"
    assert _box([750, 1000, 250, 250], (64, 96)) == "box:24,16,48,48" and _box([5, 5, 5, 5], (64, 96)) is None
    with fake_server(UNDERSTOOD) as server:
        found = understand(connect(server.url), "make the square a star", video[0])
    assert found.box == "box:24,16,48,48" and found.original_caption == "a square on dots"


def test_what_no_region_can_show_is_one_line(video):
    with fake_server({**UNDERSTOOD, "possible": False}) as server, pytest.raises(UserError, match="fake-vlm says"):
        understand(connect(server.url), "zoom in", video[0])


@pytest.mark.parametrize(
    "reply", [{**UNDERSTOOD, "operation": "delete_files"}, {**UNDERSTOOD, "target": HOSTILE}, HOSTILE]
)
def test_a_hostile_reply_stops_the_edit_in_one_line(video, reply):
    with fake_server(reply) as server, pytest.raises(UserError, match="no usable reply in 4 attempts") as caught:
        understand(Endpoint(server.url, sleep=lambda s: None), "make the square a star", video[0])
    assert "\x1b" not in str(caught.value)
