"""``vp-jax edit``: shown before it runs, every part by hand, end to end on the packaged clip."""

import json

import cv2
import numpy as np
import pytest

from tests.vlm import fake_edit
from tests.vlm.fake_server import fake_server
from vp_jax.cli.main import run
from vp_jax.edit.world import packaged_clip, write_world_video
from vp_jax.errors import UserError
from vp_jax.media.images import read_image
from vp_jax.media.video import read_video


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(*arguments):
    return run(["edit", "--out", "out.mkv", *arguments])


def test_a_dry_run_shows_plan_and_mask_and_generates_nothing(folder, capsys):
    assert edit("--instruction", "make the square a red circle", "--plan", "plan.json", "--dry_run") == 0
    shown = capsys.readouterr().out
    assert (
        "edit     swap the square" in shown
        and "caption  a cyan striped moon spins and a red circle sways over mint planks" in shown
    )
    assert "mask     out_mask.mkv, grown by 2 pixels" in shown and "dry run  nothing was generated" in shown
    assert sorted(path.name for path in folder.iterdir()) == ["out_mask.mkv", "out_source.mkv", "plan.json"]


def test_a_plan_is_changed_by_hand_and_followed(folder, capsys):
    edit("--instruction", "make the square a red circle", "--plan", "plan.json", "--dry_run")
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "caption": "a pink moon"}))
    edit("--plan", "plan.json", "--dry_run")
    assert "caption  a pink moon" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"plan\.json is of another instruction"):
        edit("--plan", "plan.json", "--instruction", "remove the square", "--dry_run")


def test_a_model_behind_an_endpoint_plans(capsys):
    with fake_server(fake_edit.answer) as server:
        assert fake_edit.edit_through(server, ["--out", "out.mkv", "--dry_run"]) == 0
    shown = capsys.readouterr().out
    assert "caption  a red circle pulses over brown dots" in shown and "by       fake-vlm" in shown
    assert len(server.chats) == 2


@pytest.mark.parametrize(
    "arguments, line",
    [
        ([], "expected --instruction, or --operation with --caption"),
        (["--instruction", "make it blue"], "or give --operation, --target and --caption, or a model with --vlm"),
        (["--instruction", "remove the dog"], "no thing of that name in the clip"),
        (["--operation", "swap", "--target", "the square"], "caption: what does the edited video show"),
        (["--instruction", "make the square a fox"], "the drawn world has no 'a fox': it has circle"),
        (["--video", "VIDEO", "--instruction", "add a star"], "mask: where"),
        (["--video", "VIDEO", "--operation", "remove", "--mask", "area:0,0,9,9", "--first_frame", "drawn"], "only the"),
        (["--instruction", "remove the square", "--first_frame", "flux"], "expected a picture, original, fill"),
        (["--instruction", "remove the square", "--first_frame", "flux", "--dry_run"], "first_frame flux: no such"),
        (["--instruction", "remove the square", "--choose", "2"], "choose 2: expected 1 to 1"),
        (["--instruction", "remove the square", "--segmenter", "sam3_video"], "expected sam3_video:FOLDER_OR_ID"),
        (["--instruction", "remove the square", "--vlm", "gpt"], "expected http://HOST:PORT/v1"),
        (["--instruction", "remove the square", "--candidates", "0"], "candidates 0: expected 1 or more"),
        (["--instruction", "remove the square", "--", "--mask", "m.png"], "--mask behind --"),
        (["--instruction", "remove the square", "--", "--stepz", "3"], "did you mean --steps"),
        (["--instruction", "remove the square", "--", "--steps", "0"], "steps 0"),
        (["--instruction", "remove the square", "--video", "missing.mp4"], "missing.mp4: no such file"),
    ],
)
def test_a_mistake_is_one_line(folder, arguments, line):
    if "VIDEO" in arguments:
        write_world_video(packaged_clip(), folder / "VIDEO.mkv")
        arguments = [word.replace("VIDEO", "VIDEO.mkv") for word in arguments]
    with pytest.raises(UserError, match=line):
        edit(*arguments)


def test_a_video_of_ones_own_needs_a_name_for_the_result():
    with pytest.raises(UserError, match="--out not given"):
        run(["edit", "--video", "in.mp4", "--instruction", "remove the dog"])


def test_candidates_are_painted_and_one_is_chosen_by_number(folder, capsys):
    painted = ("--instruction", "remove the square", "--first_frame", "fill", "--candidates", "3")
    assert edit(*painted) == 0
    assert "first    3 painted, see out_first.png" in capsys.readouterr().out
    assert sorted(path.name for path in (folder / "out_first").glob("*.png")) == ["1.png", "2.png", "3.png"]
    kept = (folder / "out_first" / "candidates.json").read_bytes()
    with pytest.raises(UserError, match="choose 4: expected 1 to 3"):
        edit(*painted[:-2], "--choose", "4")
    assert (folder / "out_first" / "candidates.json").read_bytes() == kept


@pytest.mark.slow
def test_an_edit_of_the_packaged_clip_from_sentence_to_record(folder, capsys):
    arguments = ("--instruction", "make the square red", "--first_frame", "t2v", "--seed", "3")
    assert edit(*arguments, "--", "--steps", "2", "--no_keep_job") == 0
    record = json.loads((folder / "out.json").read_text())
    plan = record["arguments"]["edit"]
    assert (plan["instruction"], plan["operation"], plan["written_by"]) == ("make the square red", "change", "rules")
    assert record["settings"]["steps"] == 2 and record["seeds"][0] == 3
    result_FHWC, _ = read_video("out.mkv")
    source_FHWC, _ = read_video("out_source.mkv")
    holes_FHW = read_video("out_mask.mkv")[0][..., 0] > 0
    assert (result_FHWC[1:][holes_FHW[1:]] != source_FHWC[1:][holes_FHW[1:]]).mean() > 0.5
    first_HWC = read_image(folder / "out_first" / "1.png")  # what the model itself makes of frame 0
    assert np.abs(first_HWC.astype(int) - source_FHWC[0])[holes_FHW[0]].mean() > 20
    kept_HW = cv2.dilate(holes_FHW[0].astype(np.uint8), np.ones((5, 5), np.uint8)) == 0  # the job grows the hole by 2
    assert np.array_equal(first_HWC[kept_HW], source_FHWC[0][kept_HW])
    assert np.abs(result_FHWC[0].astype(int) - first_HWC).mean() < 3
