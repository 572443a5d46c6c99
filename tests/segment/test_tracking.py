import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.segment import tracking
from vp_jax.segment.prompts import Box, Point, Words
from vp_jax.segment.tracking import Tracked, reversed_frames, track


def numbered(count):
    return [np.full((4, 6, 3), number, np.uint8) for number in range(count)]


class Echo:
    """A backend that writes down what it gets; a thing covers column k, and is surest where it was prompted."""

    def __init__(self):
        self.calls = []

    def track(self, frames, prompts):
        seen = []
        self.calls.append((seen, prompts))
        known = set()
        for number, frame_HWC in enumerate(frames):
            seen.append(int(frame_HWC[0, 0, 0]))
            known |= {p.thing for p in prompts if isinstance(p, Words) or p.frame == number}
            labels_HW = np.zeros((4, 6), np.uint8)
            for thing in known:
                labels_HW[:, thing] = thing
            yield Tracked(number, labels_HW, dict.fromkeys(known, 0.5), frozenset())


def run(prompts, count=8):
    frames, echo = numbered(count), Echo()
    return list(track(lambda: iter(frames), prompts, echo)), echo


def test_a_prompt_on_frame_0_needs_one_pass():
    found, echo = run([Box(0, 0, 2, 2)])
    assert [one.frame for one in found] == list(range(8))
    assert [seen for seen, _ in echo.calls] == [list(range(8))]


def test_a_later_prompt_is_tracked_in_both_directions():
    found, echo = run([Box(0, 0, 2, 2, frame=5)])
    assert [seen for seen, _ in echo.calls] == [[5, 4, 3, 2, 1, 0], [5, 6, 7]]
    assert [p.frame for _, prompts in echo.calls for p in prompts] == [0, 0]
    assert [one.frame for one in found] == list(range(8))
    assert all((one.labels_HW[:, 1] == 1).all() and one.confidence == {1: 0.5} for one in found)


def test_things_that_appear_at_different_times_are_together_in_every_frame():
    found, echo = run([Box(0, 0, 2, 2), Point(1, 1, frame=6, thing=2), Point(2, 1, frame=7, thing=2)])
    assert all(set(np.unique(one.labels_HW)) == {0, 1, 2} and set(one.confidence) == {1, 2} for one in found)
    backwards = echo.calls[0][1]
    assert [(p.thing, p.frame) for p in backwards] == [(2, 0)], "corrections after the first prompt go forwards only"


def test_words_hold_from_the_first_frame_on():
    found, echo = run([Words("a fox"), Point(1, 1, frame=3, thing=2)])
    assert set(found[0].confidence) == {1, 2} and len(echo.calls) == 2


@pytest.mark.parametrize("part", [1, 72 * 2, 10**9])
def test_frames_come_backwards_in_parts_of_any_size(monkeypatch, part):
    monkeypatch.setattr(tracking, "PART_BYTES", part)
    frames = numbered(7)
    assert [int(frame[0, 0, 0]) for frame in reversed_frames(lambda: iter(frames), 5)] == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    "prompts, words",
    [
        ([Box(0, 0, 2, 2, frame=40)], "prompt is on frame 40, but the video ends before"),
        ([Box(0, 0, 2, 2), Point(1, 1, frame=9)], "point 1,1 is on frame 9, but the video has 8 frames"),
        ([Point(6, 1)], "lies outside"),
        ([], "no prompt"),
    ],
)
def test_prompts_that_no_frame_has_are_refused(prompts, words):
    with pytest.raises(UserError, match=words):
        run(prompts)


def test_a_video_without_frames_is_refused():
    with pytest.raises(UserError, match="no frames"):
        list(track(lambda: iter([]), [Box(0, 0, 1, 1)], Echo()))


def test_options_belong_to_a_backend_by_name():
    with pytest.raises(UserError, match="options weights"):
        track(lambda: iter([]), [Box(0, 0, 1, 1)], Echo(), weights="x")
