import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.segment.prompts import (
    Box,
    FirstMask,
    Point,
    Scribble,
    Words,
    check_inside,
    check_prompts,
    first_frame_of,
    looks_like_prompt,
    parse_prompts,
    scaled,
    things_of,
)


def test_texts_become_prompts():
    assert parse_prompts("box:40,20,100,80") == [Box(40, 20, 100, 80)]
    assert parse_prompts("box:-4,2.5,10,8@12", thing=3) == [Box(-4, 2.5, 10, 8, 12, 3)]
    assert parse_prompts("points:60,40;-10,12@30") == [Point(60, 40, True, 30), Point(10, 12, False, 30)]
    assert parse_prompts("the red car") == [Words("the red car")]
    assert looks_like_prompt("box:x") and not looks_like_prompt("the box: red")


@pytest.mark.parametrize("text", ["box:1,2,3", "box:a,b,c,d", "points:", "points:3", "points:3,4;", "box:1,2,3,4@x"])
def test_a_text_of_another_form_says_what_is_expected(text):
    with pytest.raises(UserError, match=r"expected (box|points):x,y"):
        parse_prompts(text)


@pytest.mark.parametrize(
    "prompts, words",
    [
        ([], "no prompt given"),
        ([Box(0, 0, 0, 5)], "no area"),
        ([Box(0, 0, float("nan"), 5)], "no area"),
        ([Box(float("inf"), 0, 4, 5)], "finite"),
        ([Point(1, 1, inside=False)], "only points outside"),
        ([Point(1, 1, thing=0)], "expected 1 to 255"),
        ([Point(1, 1, frame=-1)], "expected 0 or more"),
        ([Words("  ")], "empty"),
    ],
)
def test_what_no_picture_is_needed_for_is_refused_first(prompts, words):
    with pytest.raises(UserError, match=words):
        check_prompts(prompts)


@pytest.mark.parametrize(
    "prompt, words",
    [
        (Box(95, 0, 10, 10), "box 95,0,10,10: lies outside the frame of 90x60"),
        (Point(3, 60), "point 3,60: lies outside"),
        (Scribble(np.array([[1, 1], [-1, 2]])), "point -1,2: lies outside"),
        (FirstMask(np.ones((4, 4), bool)), "4x4 pixels"),
        (FirstMask(np.zeros((60, 90), bool)), "no pixel"),
    ],
)
def test_prompts_outside_of_the_picture_are_refused(prompt, words):
    with pytest.raises(UserError, match=words):
        check_inside(prompt, 60, 90)


def test_a_box_over_the_edge_is_allowed():
    check_inside(Box(-5, -5, 20, 20), 60, 90)


def test_things_and_their_first_frames_are_found():
    prompts = [Point(1, 1, frame=9, thing=2), Box(0, 0, 4, 4, frame=5, thing=2), Words("a fox", thing=1)]
    assert things_of(prompts) == [1, 2]
    assert first_frame_of(prompts, 2) == 5 and first_frame_of(prompts, 1) == 0


def test_prompts_follow_a_reduced_picture():
    assert scaled(Box(10, 20, 30, 40, 2, 3), 0.5, (30, 45)) == Box(5, 10, 15, 20, 2, 3)
    assert scaled(Point(10, 20, False, 1, 2), 0.5, (30, 45)) == Point(5, 10, False, 1, 2)
    assert scaled(Scribble(np.array([[4, 6]])), 0.5, (30, 45)).points_N2.tolist() == [[2, 3]]
    mask_HW = np.zeros((60, 90), bool)
    mask_HW[20:40, 30:60] = True
    assert scaled(FirstMask(mask_HW), 0.5, (30, 45)).mask_HW.sum() == 10 * 15
