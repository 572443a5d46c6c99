"""Questions: asked again until the reply can be used, with pictures that fit."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.vlm.protocol import Limits, ask_until_valid, pictures_of
from vp_jax.vlm.reply import BadReply


def test_it_asks_until_the_reply_fits_and_says_why_not_before():
    replies, asked = iter(["", '{"a": 1}', '{"a": "b"}']), []

    def say(text):
        asked.append(text)
        return next(replies)

    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert ask_until_valid(say, "What?", schema, 3, "m") == {"a": "b"}
    assert "(it is empty)" in asked[1] and "(reply.a 1: expected string)" in asked[2] and len(asked) == 3


def test_it_gives_up_in_one_line():
    def say(text):
        raise BadReply("no\x1b[2J")

    with pytest.raises(UserError, match=r"m: no usable reply in 2 attempts, the last one: no\\x1b"):
        ask_until_valid(say, "What?", None, 2, "m")


def test_pictures_are_reduced_and_counted():
    frame_HWC = np.zeros((10, 30, 3), np.uint8)
    assert [p.size for p in pictures_of([frame_HWC], Limits(side=15))] == [(15, 5)]
    with pytest.raises(UserError, match="3 images: expected at most 2"):
        pictures_of([frame_HWC] * 3, Limits(images=2))
