"""From what a person gave to plan and mask, by rules and through a fake endpoint."""

import dataclasses

import numpy as np
import pytest

from tests.vlm.fake_server import fake_server
from vp_jax.edit.plan import EditPlan
from vp_jax.edit.prepare import Given, prepare_edit
from vp_jax.edit.world import packaged_clip
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Mask, Video
from vp_jax.vlm import connect

UNDERSTOOD = {
    "possible": True,
    "operation": "swap",
    "target": "the square",
    "original_caption": "a square on dots",
    "box": [250, 250, 750, 1000],
}
WRITTEN = {"caption": "a red star pulses\nover brown dots", "region_caption": "a red star", "negative_prompt": "square"}


@pytest.fixture
def clip():
    return packaged_clip()


@pytest.fixture
def video(clip):
    return Video(clip.read(np.arange(clip.frames))[0])


def test_rules_plan_an_edit_of_the_packaged_clip(tmp_path, clip, video):
    ready = prepare_edit(Given(instruction="make the square a red circle"), video, tmp_path / "out.mkv", clip=clip)
    assert (ready.plan.operation, ready.plan.caption) == (
        "swap",
        "a cyan striped moon spins and a red circle sways over mint planks",
    )
    assert ready.hole_HW.any() and ready.mask == tmp_path / "out_mask.mkv"


def test_what_a_person_gives_takes_the_place_of_what_was_planned(tmp_path, clip, video):
    given = Given(
        instruction="make the square a red circle",
        caption="a moon",
        mask="area:0,0,8,8",
        mask_dilate=1,
        operation="add",
    )
    ready = prepare_edit(given, video, tmp_path / "out.mkv", clip=clip)
    assert (ready.plan.caption, ready.plan.mask_dilate, ready.plan.operation) == ("a moon", 1, "add")
    assert ready.hole_HW.sum() == 64


def test_an_instruction_beyond_the_grammar_goes_on_by_hand(tmp_path, clip, video):
    given = Given(instruction="jazz it up", operation="swap", target="the square", caption="a star")
    plan = prepare_edit(given, video, tmp_path / "out.mkv", clip=clip).plan
    assert (plan.written_by, plan.instruction) == ("hand", "jazz it up")
    with pytest.raises(UserError, match="expected make X Y"):
        prepare_edit(Given(instruction="jazz it up", operation="swap"), video, tmp_path / "out.mkv", clip=clip)


def test_a_plan_that_was_written_before_is_followed(tmp_path, video, clip):
    plan = EditPlan(operation="swap", target="the square", caption="a star")
    assert prepare_edit(Given(plan=plan), video, tmp_path / "out.mkv", clip=clip).plan == dataclasses.replace(
        plan, first_frame="drawn"
    )


def test_a_model_plans_in_two_questions(tmp_path, clip, video):
    with fake_server(UNDERSTOOD, WRITTEN) as server:
        given = Given(instruction="make it sparkle\x1b[2J".replace("\x1b[2J", ""))
        ready = prepare_edit(given, video, tmp_path / "out.mkv", vlm=connect(server.url), clip=clip)
    first, second = server.chats
    assert ready.plan == EditPlan(
        operation="swap",
        instruction="make it sparkle",
        target="the square",
        caption="a red star pulses over brown dots",
        region_caption="a red star",
        negative_prompt="square",
        written_by="fake-vlm",
        first_frame="drawn",
    )
    assert "<instruction>make it sparkle</instruction>" in first.text and clip.caption in first.text
    assert [len(chat.images) for chat in (first, second)] == [1, 2]
    alone_HWC = second.images[1].astype(int)
    assert alone_HWC[~ready.hole_HW].mean() < 12 < alone_HWC[ready.hole_HW].mean()


def test_the_mask_fits_the_video(tmp_path, clip, video):
    ready = prepare_edit(Given(instruction="remove the square"), video, tmp_path / "out.mkv", clip=clip)
    assert Mask.read(ready.mask, like=video).holes_FHW.shape == video.frames_FHWC.shape[:3]
