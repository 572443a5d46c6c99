"""Florence-2 through transformers, with tiny weights and its real pre- and post-processing."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.vlm.florence import Florence

FRAMES = [np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8) for number in range(3)]


@pytest.mark.slow
def test_things_are_named_once_in_the_order_of_the_answer(tmp_path):
    from tests.vlm.tiny_florence import write_florence

    florence = Florence(str(write_florence(tmp_path)))
    assert florence.things(FRAMES) == ["red car", "dog"]
    assert florence.things_of([FRAMES[:1], FRAMES]) == [florence.things(FRAMES[:1]), florence.things(FRAMES)]


def test_each_video_has_the_names_of_its_own_pictures_the_most_frequent_first(monkeypatch):
    names = iter([["a", "b"], ["b", ""], ["c"]])
    florence = Florence.__new__(Florence)
    monkeypatch.setattr(Florence, "_tokens", lambda self, pictures: pictures)
    monkeypatch.setattr(Florence, "_named", lambda self, tokens, frame_HWC: next(names))
    assert florence.things_of([FRAMES[:2], FRAMES[2:]]) == [["b", "a"], ["c"]]


def test_weights_that_are_missing_are_named(tmp_path):
    with pytest.raises(UserError, match="florence2: no weights given"):
        Florence("")
    with pytest.raises(UserError, match="cannot be loaded"):
        Florence(str(tmp_path))
