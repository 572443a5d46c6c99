"""A job is checked when it is made: in one line, in the words of arguments, before anything is read."""

import dataclasses
from pathlib import Path

import pytest

from vp_jax.errors import UserError
from vp_jax.inference.named import NAMED, NamedModel
from vp_jax.inference.task import BACKGROUND, NOT_BACKGROUND
from vp_jax.jobs.job import Job


@pytest.fixture
def fields(tmp_path):
    for name in ("weights", "folder.mp4", "strange"):
        (tmp_path / name).mkdir()
    (tmp_path / "strange" / "a.png").write_text("")
    return {
        "checkpoint": tmp_path / "weights",
        "video": tmp_path / "in.mp4",
        "mask": tmp_path / "mask.png",
        "out": tmp_path / "out.mp4",
        "prompt": "a fox",
    }


def test_files_are_named_after_the_result(fields, tmp_path):
    job = Job(**fields, report=tmp_path / "page.html", first_frame="first.png", settings={"steps": 3})
    names = ["out.mp4", "out_comparison.mp4", "out_contact.png", "out.json", "page.html"]
    assert [path.name for path in job.files] == names
    assert job.picture == Path("first.png") and not job.named
    assert Job(**fields, first_frame="original").picture is None
    assert dataclasses.asdict(job)["settings"] == {"steps": 3}


def test_a_removal_needs_no_prompt_and_records_the_one_it_has(fields):
    job = Job(**{**fields, "prompt": None, "task": "remove"})
    assert (job.prompt, job.negative_prompt) == (BACKGROUND, NOT_BACKGROUND)
    own = Job(**fields, task="remove", negative_prompt="")
    assert (own.prompt, own.negative_prompt) == ("a fox", "")
    embedded = Job(**{**fields, "prompt": None, "task": "remove", "prompt_embeds": Path("e.npz")})
    assert (embedded.prompt, embedded.negative_prompt) == (None, None)
    assert Job(**fields).negative_prompt == ""


def test_the_packaged_model_is_a_name(fields, monkeypatch, tmp_path):
    assert Job(**{**fields, "checkpoint": "nano"}).named
    monkeypatch.setitem(NAMED, "nano", NamedModel(tmp_path / "none"))
    with pytest.raises(UserError, match="has no nano model"):
        Job(**{**fields, "checkpoint": "nano"})


@pytest.mark.parametrize(
    "change, message",
    [
        ({"checkpoint": Path("nowhere")}, "checkpoint nowhere: no such folder, expected one written by convert"),
        ({"prompt": None}, "expected one of `prompt` and `prompt_embeds`"),
        ({"prompt_embeds": Path("e.npz")}, "expected one of `prompt` and `prompt_embeds`"),
        (
            {"prompt": None, "prompt_embeds": Path("e.npz"), "negative_prompt": "x"},
            "`negative_prompt` with `prompt_embeds`: the file holds the negative embedding",
        ),
        ({"height": 100}, "height 100: expected a multiple of 16"),
        ({"feather": -1}, "feather -1"),
        ({"mask": None}, "no `mask`, and nothing to `extend`"),
        ({"mask": None, "extend": "16:9", "mask_dilate": 3}, "mask_dilate 3: there is no `mask`"),
        ({"mask": None, "extend": "16:9", "invert_mask": True}, "invert_mask True: there is no `mask`"),
        ({"extend": "16/9"}, "extend 16/9: expected sides such as left=160,right=160, or an aspect such as 16:9"),
        ({"extend": "left=99999"}, "extend 99999: expected 0 to 8192 pixels"),
        ({"task": "remove", "first_frame": "original"}, "first_frame original with `task` remove"),
        ({"task": "erase"}, "task erase: expected fill or remove"),
        ({"fit": "zoom"}, "fit zoom: expected stretch, letterbox or crop"),
        ({"fit": "crop", "composite": False}, "fit crop: .* expected a result that is pasted"),
        ({"feather": 2, "composite": False}, "feather 2"),
        ({"mask_dilate": -1}, "mask_dilate -1: expected 0 to 8192 pixels"),
        ({"id_scale": float("nan")}, "id_scale nan: expected -100 to 100"),
        ({"loras": ((Path("none"), 1e38),)}, "lora_scale 1e\\+38: expected -100 to 100"),
        ({"feather": 10**23}, "feather 100000000000000000000000: expected 0 to 1024 pixels"),
        ({"fps": 1e-300}, "fps 1e-300: expected 0.001 to 100000"),
        ({"settings": {"guidance": 1e38}}, "guidance 1e\\+38: expected 0 to 100"),
        ({"loras": ((Path("none"), 1.0),)}, "lora none: no such file or folder"),
        ({"settings": {"steps": 0}}, "steps 0: expected 1 to 1000"),
        ({"settings": {"stepz": 3}}, "unknown setting 'stepz': did you mean steps"),
        ({"settings": {"overlap": -1}}, "overlap -1: expected 0 or more frames"),
        ({"settings": {"window": 49, "overlap": 8}}, "overlap 8 of window 49"),
        ({"report": Path("page.pdf")}, "report page.pdf: expected a name that ends in .html"),
        ({"out": Path("out.avi")}, "cannot write .avi"),
    ],
)
def test_what_cannot_work_is_named(fields, change, message):
    with pytest.raises(UserError, match=message) as caught:
        Job(**{**fields, **change})
    assert "\n" not in str(caught.value) and "--" not in str(caught.value)


@pytest.mark.parametrize("name", ["video", "mask", "first_frame"])
def test_nothing_that_is_read_is_overwritten(fields, tmp_path, name):
    with pytest.raises(UserError, match="would be overwritten: choose another `out`"):
        Job(**{**fields, name: str(fields["out"]) if name == "first_frame" else fields["out"]})


@pytest.mark.parametrize("name", ["out", "preview"])
def test_no_picture_is_written_among_the_frames_that_are_read(fields, tmp_path, name):
    """It would replace one of them, or be one of them in the next run."""
    frames = tmp_path / "frames"
    frames.mkdir()
    inside = {"out": frames / "out.mkv", "preview": frames / "00003.png"}
    with pytest.raises(UserError, match="would become one of the frames that are read: choose another"):
        Job(**{**fields, "video": frames, name: inside[name]})


def test_an_overlap_waits_for_the_model_s_window(fields):
    assert Job(**fields, settings={"overlap": 2}).settings == {"overlap": 2}
