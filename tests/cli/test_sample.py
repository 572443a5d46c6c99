"""`vp-jax sample` from the command line to the files, around a stand-in for the model."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.painter import PAINT, painter  # noqa: F401
from vp_jax import checkpoint
from vp_jax.cli.main import parser_of, run
from vp_jax.cli.program import run_cli
from vp_jax.cli.sample import with_flags
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import Pipeline
from vp_jax.media import video
from vp_jax.media.canvas import resize_frames
from vp_jax.media.video_writer import write_video

F, H, W = 14, 45, 61
FRAMES = clip_files.moving(F, H, W)
HOLES = np.zeros((F, H, W), bool)
HOLES[:, 10:30, 20:45] = True


@pytest.fixture
def pipeline(painter):  # noqa: F811
    return painter


@pytest.fixture
def given(tmp_path):
    """A folder of inputs; returns the command line as a dict to be changed."""
    (tmp_path / "weights").mkdir()
    clip_files.folder(tmp_path / "video", FRAMES)
    clip_files.folder(tmp_path / "mask", HOLES.astype(np.uint8) * 255)
    return {
        "--checkpoint": tmp_path / "weights", "--video": tmp_path / "video", "--mask": tmp_path / "mask",
        "--prompt": "a pink wall", "--out": tmp_path / "new" / "out.mkv",
    }  # fmt: skip


def argv(flags: dict) -> list[str]:
    out: list[str] = []
    for name, value in flags.items():
        out += [name] if value is True else [name, str(value)]
    return out


def result(flags: dict) -> tuple[np.ndarray, dict]:
    assert run(["sample", *argv(flags)]) == 0
    out = Path(flags["--out"])
    record = json.loads((out.with_suffix("") if out.suffix else out).with_suffix(".json").read_text())
    return video.read_video(out)[0], record


def test_one_command_makes_all_files(pipeline, given, capsys):
    frames, record = result(given)
    np.testing.assert_array_equal(frames[~HOLES], FRAMES[~HOLES])
    assert (frames[HOLES] == PAINT).all()
    assert sorted(p.name for p in given["--out"].parent.iterdir()) == [
        "out.json", "out.mkv", "out_comparison.mp4", "out_contact.png",
    ]  # fmt: skip
    assert video.probe(given["--out"].with_name("out_comparison.mp4")).frames == F
    assert video.read_image(given["--out"].with_name("out_contact.png")).shape[1] > 500
    (small, holes), _, settings = pipeline.calls["windows"]
    assert small.shape == (17, 32, 48, 3) and holes.any((1, 2)).all()
    assert (settings.window, settings.overlap, settings.steps, settings.seed) == (9, 5, 50, 42)
    assert pipeline.calls["prompt"] == ("a pink wall", "")
    assert pipeline.calls["load"] == (
        given["--checkpoint"],
        {"precision": None, "attention": None, "id_adapter": True, "id_scale": 1.0, "loras": ()},
    )
    assert record["settings"]["guidance"] == 6.0 and record["frames"] == F and record["windows"] == [0, 4, 8]
    assert {"jax", "numpy", "python", "device"} <= set(record["versions"])
    assert set(record["seconds"]) == {"read", "load", "encode_prompt", "inpaint", "write"}
    printed = capsys.readouterr()
    for words in ("14 frames, 61x45", "stretched to 48x32 and back", "3 of 9 frames", "padded to 17", "_contact.png"):
        assert words in printed.out
    assert "compiling   0%" in printed.err and "0/150" in printed.err and "left" in printed.err


def test_real_files_with_sound_slices_and_thinning(pipeline, given, tmp_path):
    frames, mask = clip_files.moving(60, 48, 64), np.zeros((60, 48, 64, 3), np.uint8)
    mask[:, 8:24, 8:24] = 255
    given["--video"] = clip_files.encode(tmp_path / "in.mp4", frames, sound=True)
    given["--mask"] = clip_files.encode(tmp_path / "mask.mp4", mask)
    given["--out"] = tmp_path / "out.mp4"
    flags = {**given, "--start": 6, "--stop": 50, "--fps": 8, "--mask_dilate": 2}
    frames, record = result(flags)
    assert frames.shape == (15, 48, 64, 3)
    info = video.probe(tmp_path / "out.mp4")
    assert info.has_audio and info.fps == Fraction(10000, 1001) and record["fps"] == "10000/1001"
    assert record["audio_copied"] is True
    assert np.abs(frames[:, 10:22, 10:22].astype(int) - PAINT).mean() < 25


def test_sound_that_is_lost_is_said(pipeline, given, tmp_path, capsys):
    given["--video"] = clip_files.encode(tmp_path / "in.mp4", FRAMES[:, :44, :60], sound=True)
    clip_files.folder(tmp_path / "holes", HOLES[:, :44, :60].astype(np.uint8) * 255)
    result({**given, "--mask": tmp_path / "holes", "--out": tmp_path / "a.webm"})
    assert "sound    is missing: .webm does not hold this kind of it, .mkv would" in capsys.readouterr().out
    result({**given, "--mask": tmp_path / "holes"})
    assert "is missing" not in capsys.readouterr().out


def test_every_flag_reaches_the_model(pipeline, given, tmp_path):
    for name in ("a.safetensors", "b:2"):
        (tmp_path / name).write_text("")
    flags = argv({
        **given, "--negative_prompt": "blur", "--steps": 7, "--guidance": 3.5, "--static_guidance": True,
        "--sampler": "ddim", "--seed": 5, "--window": 13, "--overlap": 1, "--mode": "reference", "--clip_weight": 0.5,
        "--id_adapter": "off", "--id_scale": 0.7, "--precision": "float32", "--attention": "xla", "--height": 64,
        "--width": 80, "--lora": f"{tmp_path}/a.safetensors:0.5",
    })  # fmt: skip
    assert run(["sample", *flags, "--lora", f"{tmp_path}/b:2:-1", "--lora", f"{tmp_path}/a.safetensors"]) == 0
    loras = ((tmp_path / "a.safetensors", 0.5), (tmp_path / "b:2", -1.0), (tmp_path / "a.safetensors", 1.0))
    assert pipeline.calls["load"] == (
        given["--checkpoint"],
        {"precision": "float32", "attention": "xla", "id_adapter": False, "id_scale": 0.7, "loras": loras},
    )
    settings = dataclasses.asdict(pipeline.calls["windows"][2])
    assert settings == {
        "steps": 7, "guidance": 3.5, "dynamic_guidance": False, "sampler": "ddim", "window": 13, "overlap": 1,
        "mode": "reference", "clip_weight": 0.5, "replace_background": True, "hole_fill": "black", "seed": 5,
        "injection": {"scale": 1.0, "tokens": "background", "schedule": "grouped"},
    }  # fmt: skip
    assert pipeline.calls["windows"][0].frames_FHWC.shape == (F, 64, 80, 3)
    assert pipeline.calls["prompt"] == ("a pink wall", "blur")


def test_the_tail_that_reference_mode_drops_is_said(pipeline, given, capsys):
    frames, record = result({**given, "--mode": "reference"})
    np.testing.assert_array_equal(frames[~HOLES[:9]], FRAMES[:9][~HOLES[:9]])
    assert len(frames) == record["frames"] == 9
    assert "reference mode drops the tail: 9 of 14 frames come out" in capsys.readouterr().out


def test_first_frame_original_is_kept_bit_for_bit(pipeline, given):
    frames, _ = result({**given, "--first_frame": "original"})
    np.testing.assert_array_equal(frames[0], FRAMES[0])
    assert (frames[1][HOLES[1]] == PAINT).all()
    (small, holes), _, _ = pipeline.calls["windows"]
    np.testing.assert_array_equal(small[0], resize_frames(FRAMES[:1], 32, 48)[0])
    assert not holes[0].any() and holes[1].any()


def test_first_frame_from_a_picture(pipeline, given, tmp_path):
    Image.new("RGB", (100, 90), (9, 200, 9)).save(tmp_path / "first.png")
    result({**given, "--first_frame": tmp_path / "first.png"})
    (small, holes), _, _ = pipeline.calls["windows"]
    assert (small[0] == (9, 200, 9)).all() and not holes[0].any() and holes[1].any()


def test_without_pasting_and_with_feather(pipeline, given):
    frames, _ = result({**given, "--no_composite": True})
    assert (frames == PAINT).all()
    frames, _ = result({**given, "--feather": 3})
    np.testing.assert_array_equal(frames[~HOLES], FRAMES[~HOLES])
    assert (frames[:, 20, 32] == PAINT).all() and (frames[:, 20, 20] != PAINT).any()


def test_folder_of_frames_as_output(pipeline, given, tmp_path):
    frames, _ = result({**given, "--out": tmp_path / "frames"})
    np.testing.assert_array_equal(frames[~HOLES], FRAMES[~HOLES])
    assert (tmp_path / "frames_contact.png").exists()


def test_embeddings_from_a_file_need_no_text_encoder(pipeline, given, tmp_path):
    pipeline.has_text_encoder = False
    embeds = np.random.default_rng(0).random((2, 1, 4, 8)).astype(np.float32)
    np.savez(tmp_path / "e.npz", prompt_embeds=embeds[0], negative_prompt_embeds=embeds[1])
    del given["--prompt"]
    result({**given, "--prompt_embeds": tmp_path / "e.npz"})
    assert "prompt" not in pipeline.calls
    np.testing.assert_array_equal(np.stack(pipeline.calls["windows"][1]), embeds[:, 0])


def test_an_old_result_is_replaced_only_by_a_finished_one(pipeline, given, monkeypatch, capsys):
    given["--out"].parent.mkdir()
    given["--out"].write_text("old")

    def fail(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(pipeline, "windows", fail)
    assert status(given) == 2
    assert "out of device memory: try a smaller --window, --height and --width" in capsys.readouterr().err
    assert given["--out"].read_text() == "old"


@pytest.mark.parametrize("name, advice", [("load", "a device with more"), ("encode_prompts", "--prompt_embeds")])
def test_models_that_do_not_fit_in_memory(pipeline, given, monkeypatch, capsys, name, advice):
    def fail(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(Pipeline if name == "load" else pipeline, name, fail)
    assert status(given) == 2
    error = capsys.readouterr().err
    assert "out of device memory: try --precision bfloat16, or" in error and advice in error


def status(flags: dict) -> int:
    with pytest.raises(SystemExit) as caught:
        run_cli(lambda: run(["sample", *argv(flags)]))
    return caught.value.code


BEFORE_LOADING = [
    ({"--video": "none.mp4"}, "none.mp4: no such file"),
    ({"--video": "text.mp4"}, "text.mp4: cannot be read as a video"),
    ({"--video": "empty"}, "no images in this folder"),
    ({"--mask": "none.npz"}, "none.npz: no such file"),
    ({"--mask": "small.png"}, "mask is 8x8 pixels, the video 61x45"),
    ({"--mask": "black.png"}, "mask is empty in every frame"),
    ({"--mask": "black.png", "--invert_mask": True}, "mask covers every frame"),
    ({"--mask": "labels.npz"}, "holds labels 0, 1, 7"),
    ({"--mask": "labels.npz", "--mask_id": "3"}, "no pixel has label 3"),
    ({"--mask": "labels.npz", "--mask_id": "7", "--start": "2", "--stop": "1"}, "expected 0 <= start < stop"),
    ({"--mask": "short"}, "mask has 3 frames, the video 14"),
    ({"--mask_dilate": "-1"}, "--mask_dilate -1"),
    ({"--mask_dilate": "x"}, "argument --mask_dilate: invalid int value"),
    ({"--stop": "99"}, "has 14 frames: frames 0 to 99 were asked for"),
    ({"--fps": "0"}, "--fps 0.0: expected 0.001 to 100000"),
    ({"--checkpoint": "nowhere"}, "--checkpoint nowhere: no such folder"),
    ({"--prompt": None}, "expected one of --prompt and --prompt_embeds"),
    ({"--prompt": None, "--prompt_embeds": "none.npz"}, "none.npz: expected an .npz of prompt_embeds"),
    ({"--prompt": None, "--prompt_embeds": "labels.npz"}, "labels.npz: expected an .npz of prompt_embeds"),
    ({"--prompt": None, "--prompt_embeds": "flat.npz"}, r"embeddings of shapes (4, 8) and (4, 8)"),
    ({"--prompt_embeds": "flat.npz"}, "expected one of --prompt and --prompt_embeds"),
    ({"--prompt": None, "--prompt_embeds": "flat.npz", "--negative_prompt": "x"}, "--negative_prompt with"),
    ({"--first_frame": "none.png"}, "none.png: no such file"),
    ({"--first_frame": "text.mp4"}, "text.mp4: cannot be read as an image"),
    ({"--feather": "2", "--no_composite": True}, "--feather 2: expected"),
    ({"--lora": "none.safetensors:0.5"}, "--lora none.safetensors:0.5: no such file"),
    ({"--out": "out.avi"}, "cannot write .avi"),
    ({"--out": "text.mp4/out.mp4"}, "text.mp4 is not a folder"),
    ({"--out": "empty.mp4"}, "is a folder, expected a file name"),
    ({"--out": "short"}, "which this program did not write"),
    ({"--out": "."}, ".: names no file, expected one such as out.mp4"),
    ({"--out": ""}, ".: names no file, expected one such as out.mp4"),
    ({"--out": "/"}, "/: names no file, expected one such as out.mp4"),
    ({"--out": "n" * 250 + ".mp4"}, "cannot be written (File name too long)"),
    ({"--out": "n" * 400}, "cannot be written (File name too long)"),
    ({"--video": "text.mp4", "--out": "text.mp4"}, "text.mp4 would be overwritten"),
    ({"--video": "text.mp4", "--out": "empty/../text.mp4"}, "text.mp4 would be overwritten"),
    ({"--first_frame": "text_contact.png", "--out": "text.mp4"}, "text_contact.png would be overwritten"),
    ({"--first_frame": "frames/00000.png", "--out": "frames"}, "frames would be overwritten"),
    ({"--report": "text.mp4/page.html"}, "text.mp4 is not a folder that can be written to"),
    ({"--report": "page.html"}, "page.html: is a folder, expected a file name"),
    ({"--fps": "inf"}, "--fps inf: expected 0.001 to 100000"),
    ({"--height": "100"}, "--height 100: expected a multiple of 16"),
    ({"--guidance": "1e38"}, "--guidance 1e+38: expected 0 to 100"),
    ({"--feather": "1" + "0" * 23}, "--feather 100000000000000000000000: expected 0 to 1024 pixels"),
    ({"--feather": "1e23"}, "argument --feather: invalid int value: '1e23'"),
    ({"--id_scale": "nan"}, "--id_scale nan: expected -100 to 100"),
    ({"--width": "0"}, "--width 0: expected 16 to 8192"),
    ({"--steps": "0"}, "--steps 0: expected 1 to 1000"),
    ({"--guidance": "-2"}, "guidance -2.0"),
    ({"--window": "48"}, "window 48"),
    ({"--window": "0"}, "window 0"),
    ({"--window": "49", "--overlap": "8"}, "--overlap 8 of window 49"),
    ({"--overlap": "-1"}, "--overlap -1"),
    ({"--clip_weight": "2"}, "clip_weight 2.0"),
    ({"--seed": "-1"}, "seed -1"),
    ({"--id_scale": "nan"}, "--id_scale nan"),
    ({"--sampler": "euler"}, "argument --sampler: invalid choice: 'euler'"),
    ({"--feather": "-1"}, "--feather -1"),
    ({"--feather": "2", "--no_composite": True}, "--feather 2"),
    ({"--masks": "x"}, "unknown flag --masks: did you mean --mask?"),
]


@pytest.mark.parametrize("change, message", BEFORE_LOADING, ids=[" ".join(map(str, c)) for c, _ in BEFORE_LOADING])
def test_mistakes_are_one_line_before_any_model_is_loaded(
    pipeline, given, tmp_path, monkeypatch, capsys, change, message
):
    monkeypatch.chdir(tmp_path)
    Path("text.mp4").write_text("hello")
    Path("empty").mkdir()
    Path("empty.mp4").mkdir()
    Path("page.html").mkdir()
    write_video(Path("frames"), FRAMES[:1], 8)
    clip_files.folder(Path("short"), np.full((3, H, W), 255, np.uint8), names="mask{}.png")
    Image.new("L", (8, 8), 255).save("small.png")
    Image.new("L", (W, H), 0).save("black.png")
    labels = HOLES.astype(np.uint8)
    labels[:, 40:] = 7
    np.savez("labels.npz", labels)
    np.savez("flat.npz", prompt_embeds=np.zeros((4, 8)), negative_prompt_embeds=np.zeros((4, 8)))
    before = sorted(Path(".").rglob("*"))
    flags = {name: value for name, value in {**given, **change}.items() if value is not None}
    assert status(flags) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1
    assert not pipeline.calls
    assert sorted(Path(".").rglob("*")) == before


@pytest.mark.parametrize(
    "change, attributes, message",
    [
        ({"--height": "64"}, {"fixed_size": True}, "--height 64 --width 48: this model runs at 32 x 48 only"),
        ({}, {"has_text_encoder": False}, "has no text encoder: give --prompt_embeds"),
        ({"--overlap": "2"}, {}, "overlap 2 of window 9"),
    ],
)
def test_mistakes_that_only_the_model_can_tell(pipeline, given, monkeypatch, capsys, change, attributes, message):
    for name, value in attributes.items():
        monkeypatch.setattr(pipeline, name, value)
    assert status({**given, **change}) == 2
    assert message in capsys.readouterr().err
    assert "windows" not in pipeline.calls


def test_the_one_frame_whose_hole_is_kept(pipeline, given, capsys):
    assert status({**given, "--stop": 1, "--first_frame": "original"}) == 2
    assert "only frame 0 has a hole" in capsys.readouterr().err


def test_exit_status_of_the_program(given):
    command = [sys.executable, "sample.py", *argv({**given, "--video": "none.mp4"})]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert (done.returncode, done.stderr) == (2, "error: none.mp4: no such file\n")


def test_the_library_s_words_become_flags():
    flags = ("out", "mask", "prompt", "prompt_embeds", "mask_id", "height", "width", "window", "fps")
    for message, want in {
        "fps 0: expected a number": "--fps 0: expected a number",
        "height 64 width 48: this model": "--height 64 --width 48: this model",
        "window 1 makes a frame, the video has 3: expected 5": "--window 1 makes a frame, the video has 3: expected 5",
        "expected one of `prompt` and `prompt_embeds`": "expected one of --prompt and --prompt_embeds",
        "a.png: choose the hole with mask_id": "a.png: choose the hole with --mask_id",
        "/a/mask_id.npz: no such file": "/a/mask_id.npz: no such file",
        "out of device memory: try `window`": "out of device memory: try --window",
        "the mask has 3 frames, the video 14: they": "the mask has 3 frames, the video 14: they",
    }.items():
        assert with_flags(message, flags) == want


def test_help_has_four_groups_and_every_flag_says_what_it_does():
    parser = parser_of("sample")
    groups = {group.title: group._group_actions for group in parser._action_groups if group._group_actions}
    assert list(groups) == ["options", "input", "output", "look", "machine"]
    assert all(action.help for actions in groups.values() for action in actions)


def test_help_needs_no_jax():
    code = "import sys, vp_jax.cli.sample; print([m for m in ('jax', 'flax', 'grain', 'orbax') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_verify_compares_parts_of_the_checkpoint_that_are_not_read(given, pipeline, capsys):
    """The stand-in for the model reads none of them."""
    part = given["--checkpoint"] / "branch"
    checkpoint.save_params(part, {"a": np.random.default_rng(0).standard_normal(3000, np.float32)}, {"kind": "branch"})
    result({**given, "--verify": True})
    assert "branch are what was written" in capsys.readouterr().out
    given["--out"] = given["--out"].with_name("second.mkv")
    stored = [path for path in (part / "params").rglob("*") if path.parent.name == "d"]
    file = max(stored, key=lambda path: path.stat().st_size)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"branch/params is damaged or incomplete .*convert or copy it again"):
        run(["sample", *argv({**given, "--verify": True})])
    assert not given["--out"].exists()
    with pytest.raises(UserError, match=r"no converted model|has no digests"):
        run(["sample", *argv({**given, "--checkpoint": given["--video"], "--verify": True})])


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_equal_runs_give_equal_bytes(given, pipeline, tmp_path, suffix):
    files = [tmp_path / name / f"out{suffix}" for name in ("first", "second")]
    for file in files:
        result({**given, "--out": file})
    assert files[0].read_bytes() == files[1].read_bytes()


def test_names_and_prompts_are_shown_as_they_are_and_not_obeyed(given, pipeline, tmp_path, capsys):
    flags = {
        **given,
        "--prompt": "a \x1b[31mred\nwall",
        "--out": tmp_path / "\x1b[2Jout.mkv",
        "--report": tmp_path / "o.html",
    }
    result(flags)
    printed = capsys.readouterr()
    assert "\x1b[2J" not in printed.out + printed.err and "\\x1b[2Jout.mkv" in printed.out
    page = (tmp_path / "o.html").read_text()
    assert "\x1b" not in page and "a \\x1b[31mred\\nwall" in page
