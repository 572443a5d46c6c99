"""A plan: written, read, shown, and refused where it cannot be one."""

import json

import pytest

from vp_jax.edit.instruction import EDITS, parse_instruction
from vp_jax.edit.plan import GROWTH_OF_EDIT, EditPlan
from vp_jax.edit.rules import plan_by_hand, plan_by_rules
from vp_jax.errors import UserError
from vp_jax.inference.task import REMOVE, growth_of

PLAN = EditPlan(operation="swap", target="the dog", caption="a fox runs", region_caption="a fox", notes=("one",))


def test_a_plan_comes_back_from_its_file(tmp_path):
    PLAN.write(tmp_path / "plan.json")
    assert EditPlan.read(tmp_path / "plan.json") == PLAN
    assert json.loads((tmp_path / "plan.json").read_text()) == PLAN.values


@pytest.mark.parametrize(
    "values, line",
    [
        ({"operation": "explode", "caption": "x"}, "expected one of 'add', 'remove', 'change', 'swap'"),
        ({"operation": "swap"}, "caption: what does the edited video show"),
        ({"operation": "swap", "caption": "x", "colour": "red"}, "unknown fields"),
        ({"operation": "swap", "caption": "x", "mask_dilate": -1}, "mask_dilate -1"),
        ({"operation": "swap", "caption": "\x1b[2J"}, r"caption \\x1b\[2J: expected one line of text"),
        ({"operation": "swap", "caption": "x" * 2001}, "expected at most 2000"),
        ({"operation": "swap", "caption": 3}, "expected a text"),
    ],
)
def test_what_is_no_plan_is_one_line(tmp_path, values, line):
    (tmp_path / "plan.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=line):
        EditPlan.read(tmp_path / "plan.json")


def test_the_mask_grows_with_the_picture_and_by_the_operation():
    assert set(GROWTH_OF_EDIT) == set(EDITS)
    grown = {operation: EditPlan(operation=operation, caption="x").growth((480, 720)) for operation in GROWTH_OF_EDIT}
    assert grown == {"add": 0, "change": 5, "remove": growth_of(REMOVE, (480, 720)), "swap": 15}
    assert EditPlan(operation="swap", caption="x", mask_dilate=3).growth((480, 720)) == 3


def test_it_is_shown_in_lines():
    assert PLAN.lines() == [
        "edit     swap the dog",
        "caption  a fox runs",
        "region   a fox",
        "first    none, it is generated with the others",
        "by       rules",
        "note     one",
    ]


def plan_of(text, original=None):
    return plan_by_rules(text, parse_instruction(text), original)


def test_rules_write_a_whole_caption_where_the_original_is_known():
    plan = plan_of("make the dog a fox", "a dog runs on the beach")
    assert (plan.caption, plan.region_caption, plan.negative_prompt, plan.notes) == (
        "a fox runs on the beach",
        "a fox",
        "dog",
        (),
    )


def test_rules_say_what_they_do_not_know():
    assert "describes the edited thing alone" in plan_of("make the dog a fox").notes[0]
    assert "does not name 'the dog'" in plan_of("make the dog a fox", "a cat sleeps").notes[0]
    assert plan_of("put a hat on the man").caption == "a hat on the man"
    removal = plan_of("remove the dog")
    assert removal.caption is None and removal.notes == () and removal.negative_prompt is None


def test_a_plan_by_hand_needs_an_operation():
    assert plan_by_hand("swap", "the dog", "a fox").region_caption == "a fox"
    with pytest.raises(UserError, match="expected `instruction`, or `operation`"):
        plan_by_hand("", "", None)
