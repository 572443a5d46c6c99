"""Prompts by window or by time: which prompt a window has, and what is refused."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.inference.inputs import Video, as_mask
from vp_jax.inference.plan import plan_windows
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.prompts import Prompts, Span, clock
from vp_jax.inference.result import collect
from vp_jax.inference.settings import Settings

SETTINGS = Settings(window=9, overlap=1)  # one second each at 8 frames a second
VIDEO = Video(np.zeros((26, 8, 8, 3), np.uint8), Fraction(8))  # windows of frames 0-8, 8-16, 16-24, 24-25
PLAN = plan_windows(26, SETTINGS)


def texts(prompts, video=VIDEO):
    return prompts.texts(PLAN, SETTINGS, video)


def read(tmp_path, values, general=None):
    (tmp_path / "p.json").write_text(values if isinstance(values, str) else json.dumps(values))
    return Prompts.read(tmp_path / "p.json", general)


def test_one_for_each_window_and_the_general_one_for_what_is_left(tmp_path):
    prompts = read(tmp_path, {"windows": ["a", None, "c", "d"]}, "general")
    assert texts(prompts) == ["a", "general", "c", "d"] and prompts.distinct() == ["a", "c", "d"]
    with pytest.raises(UserError, match=r"prompts: window 2 has none: add one, or give `prompt` for what is left"):
        texts(read(tmp_path, {"windows": ["a", None, "c", "d"]}))
    with pytest.raises(UserError, match=r"3 prompts for windows, the video has 4 windows"):
        texts(read(tmp_path, {"windows": ["a", "b", "c"]}))


def test_a_window_has_the_prompt_at_its_middle(tmp_path):
    spans = [{"from": "0:00", "to": "0:01.5", "prompt": "a"}, {"from": 1.5, "to": "2.7", "prompt": "b"}]
    prompts = read(tmp_path, [*spans, {"prompt": "c"}])
    assert prompts.spans == (Span(0, 1.5, "a"), Span(1.5, 2.7, "b"), Span(2.7, math.inf, "c"))
    # middles at 0.5625, 1.5625, 2.5625 and, of two frames without padding, 3.125 seconds
    assert texts(prompts) == ["a", "b", "b", "c"]


def test_times_are_those_of_the_source(tmp_path):
    later = type("Later", (), {"fps": Fraction(8), "start_seconds": 60.0, "__len__": lambda self: 26})()
    spans = [{"from": 0, "to": "1:01", "prompt": "a"}, {"from": "0:01:01", "prompt": "b"}]
    assert texts(read(tmp_path, spans), later) == ["a", "b", "b", "b"]


def test_a_gap_takes_the_general_prompt_or_is_named(tmp_path):
    spans = [{"from": 0, "to": 1, "prompt": "a"}, {"from": 3, "to": 9, "prompt": "b"}]
    assert texts(read(tmp_path, spans, "general")) == ["a", "general", "general", "b"]
    message = r"prompts: window 2 \(0:01 to 0:02.125\) has its middle, 0:01.562, in no span: add one, or give `prompt`"
    with pytest.raises(UserError, match=message):
        texts(read(tmp_path, spans))


@pytest.mark.parametrize(
    "values, message",
    [
        ("nope", "is not JSON"),
        ("3", "expected a list of"),
        ({"windows": "a"}, "expected a list of"),
        ({"windows": []}, "expected one for each window, or spans of time"),
        ([], "expected one for each window, or spans of time"),
        ({"window": ["a"]}, "expected a list of"),
        ({"windows": [3]}, "3: expected a prompt as text, or null"),
        ({"windows": ["a \ud800"]}, r"'a \ud800': expected text in UTF-8"),
        ([{"from": 0, "to": 1}], 'span 1: expected "from", "to" and "prompt"'),
        ([{"from": 0, "to": 1, "prompt": None}], "None: expected a prompt as text"),
        ([{"from": 0, "until": 1, "prompt": "a"}], 'span 1: expected "from", "to" and "prompt"'),
        ([{"prompt": "a"}, {"prompt": "b"}], 'span 2: expected "from", as the span before it has no "to"'),
        ([{"from": "x", "prompt": "a"}], "'x' is no time: expected seconds, or text such as 0:05"),
        ([{"from": -1, "prompt": "a"}], "-1 is no time"),
        ([{"from": True, "prompt": "a"}], "True is no time"),
        ([{"from": 2, "to": 1, "prompt": "a"}], "from 0:02 to 0:01 is no span of time"),
        (
            [{"from": 0, "to": 2, "prompt": "a"}, {"from": 1, "prompt": "b"}],
            "the spans from 0:00 to 0:02 and from 0:01 overlap: end the first where the second begins",
        ),
        ([{"from": 3, "to": 4, "prompt": "a"}, {"from": 1, "prompt": "b"}], "the spans are not in the order of time"),
    ],
)
def test_what_cannot_be_used_is_one_line_that_names_the_file(tmp_path, values, message):
    with pytest.raises(UserError) as caught:
        read(tmp_path, values)
    assert message in str(caught.value) and "p.json" in str(caught.value) and "\n" not in str(caught.value)


def test_times_are_shown_as_players_show_them():
    assert [clock(t) for t in (0, 5, 64.5, 3600, 59.9996, math.inf)] == [
        "0:00", "0:05", "1:04.5", "60:00", "1:00", "the end",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_pipeline_gives_each_window_its_prompt(pipeline, clip, monkeypatch):
    """The same as embeddings that are given one by one."""
    frames, holes, _ = clip
    monkeypatch.setattr(pipeline, "encode_prompts", lambda prompts, at_once=None: np.stack([embed(p) for p in prompts]))
    prompts = Prompts(windows=("a", None, "ccc"), general="bb")
    got = pipeline(frames, holes, prompts, window=5, overlap=1, steps=1)
    request = pipeline.request(Video(frames), as_mask(holes), window=5, overlap=1, steps=1)
    each = [Prompt(embed(text), embed("")) for text in ("a", "bb", "ccc")]
    events = pipeline.windows(request.padded, each, request.settings)
    want = collect(pipeline.decoded(events, request.plan, request.settings), request)
    np.testing.assert_array_equal(got.model_FHWC, want.model_FHWC)
    same = pipeline(frames, holes, each[0], window=5, overlap=1, steps=1)
    assert (same.model_FHWC != got.model_FHWC).any()


def embed(text):
    return np.random.default_rng(len(text)).standard_normal((3, 6), np.float32)
