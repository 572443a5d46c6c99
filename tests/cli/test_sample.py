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
from tests.cli.sample_job import FRAMES, HOLES, F, argv, status
from tests.painter import PAINT
from vp_jax import checkpoint
from vp_jax.cli.main import run
from vp_jax.cli.sample import with_flags
from vp_jax.errors import UserError
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.task import BACKGROUND, NOT_BACKGROUND, growth_of
from vp_jax.media import video
from vp_jax.media.canvas import resize_frames
from vp_jax.media.masks import dilate


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
        "out.job", "out.json", "out.mkv", "out_comparison.mp4", "out_contact.png",
    ]  # fmt: skip
    assert video.probe(given["--out"].with_name("out_comparison.mp4")).frames == F
    assert video.read_image(given["--out"].with_name("out_contact.png")).shape[1] > 500
    (small, holes, _), _, settings = pipeline.calls["windows"]
    assert small.shape == (17, 32, 48, 3) and holes.any((1, 2)).all()
    assert (settings.window, settings.overlap, settings.steps, settings.seed) == (9, 5, 50, 42)
    assert pipeline.calls["prompt"] == ("a pink wall", "")
    assert pipeline.calls["load"] == (
        given["--checkpoint"],
        {
            "precision": None,
            "weights": None,
            "attention": None,
            "mesh": None,
            "id_adapter": True,
            "id_scale": 1.0,
            "loras": (),
        },
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
    result({**given, "--mask": tmp_path / "holes", "--out": tmp_path / "a.gif"})
    assert "sound    1 (aac): lost, .gif holds pictures only" in capsys.readouterr().out
    result({**given, "--mask": tmp_path / "holes"})
    assert "sound    1 (aac): copied, " in capsys.readouterr().out


def test_every_flag_reaches_the_model(pipeline, given, tmp_path):
    for name in ("a.safetensors", "b:2"):
        (tmp_path / name).write_text("")
    flags = argv({
        **given, "--negative_prompt": "blur", "--steps": 7, "--guidance": 3.5, "--static_guidance": True,
        "--sampler": "ddim", "--seed": 5, "--window": 13, "--overlap": 1, "--mode": "reference", "--clip_weight": 0.5,
        "--id_adapter": "off", "--id_scale": 0.7, "--precision": "float32", "--attention": "xla", "--height": 64,
        "--width": 80, "--weights": "int8", "--mesh": "auto", "--guidance_start": 0.25, "--guidance_stop": 0.75,
        "--lora": f"{tmp_path}/a.safetensors:0.5",
    })  # fmt: skip
    assert run(["sample", *flags, "--lora", f"{tmp_path}/b:2:-1", "--lora", f"{tmp_path}/a.safetensors"]) == 0
    loras = ((tmp_path / "a.safetensors", 0.5), (tmp_path / "b:2", -1.0), (tmp_path / "a.safetensors", 1.0))
    assert pipeline.calls["load"] == (
        given["--checkpoint"],
        {
            "precision": "float32",
            "weights": "int8",
            "attention": "xla",
            "mesh": "auto",
            "id_adapter": False,
            "id_scale": 0.7,
            "loras": loras,
        },
    )
    settings = dataclasses.asdict(pipeline.calls["windows"][2])
    assert settings == {
        "steps": 7, "guidance": 3.5, "dynamic_guidance": False, "guidance_start": 0.25, "guidance_stop": 0.75,
        "step_cache": None, "sampler": "ddim", "window": 13, "overlap": 1, "mode": "reference", "clip_weight": 0.5,
        "background_every": 1, "joint": False, "replace_background": True, "hole_fill": "black", "seed": 5,
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
    (small, holes, _), _, _ = pipeline.calls["windows"]
    np.testing.assert_array_equal(small[0], resize_frames(FRAMES[:1], 32, 48)[0])
    assert not holes[0].any() and holes[1].any()


def test_first_frame_from_a_picture(pipeline, given, tmp_path):
    Image.new("RGB", (100, 90), (9, 200, 9)).save(tmp_path / "first.png")
    result({**given, "--first_frame": tmp_path / "first.png"})
    (small, holes, _), _, _ = pipeline.calls["windows"]
    assert (small[0] == (9, 200, 9)).all() and not holes[0].any() and holes[1].any()


def test_without_pasting_and_with_feather(pipeline, given):
    frames, _ = result({**given, "--no_composite": True})
    assert (frames == PAINT).all()
    frames, _ = result({**given, "--feather": 3})
    np.testing.assert_array_equal(frames[~HOLES], FRAMES[~HOLES])
    assert (frames[:, 20, 32] == PAINT).all() and (frames[:, 20, 20] != PAINT).any()


def test_a_removal_needs_no_prompt_and_grows_its_hole(pipeline, given, capsys):
    del given["--prompt"]
    frames, record = result({**given, "--task": "remove"})
    grown = dilate(HOLES, growth_of("remove", FRAMES.shape[1:3]))
    assert (frames[grown] == PAINT).all() and grown.sum() > HOLES.sum()
    np.testing.assert_array_equal(frames[~grown], FRAMES[~grown])
    assert pipeline.calls["prompt"] == (BACKGROUND, NOT_BACKGROUND)
    assert record["arguments"]["task"] == "remove" and record["arguments"]["prompt"] == BACKGROUND
    assert "remove   the hole is grown by 1 pixels, prompt an empty background, not " in capsys.readouterr().out


def test_an_extended_picture_needs_no_mask(pipeline, given, capsys):
    del given["--mask"]
    frames, record = result({**given, "--extend": "left=8,bottom=3"})
    assert frames.shape == (F, 48, 69, 3) and record["arguments"]["extend"] == "left=8,bottom=3"
    np.testing.assert_array_equal(frames[:, :45, 8:], FRAMES)
    assert (frames[:, 45:] == PAINT).all() and (frames[:, :, :8] == PAINT).all()
    assert "extend   61x45 pixels become 69x48" in capsys.readouterr().out


def test_a_crop_and_a_letterbox_are_described_and_kept_pixels_stay(pipeline, given, capsys):
    for fit, words in (
        ("crop", "61x45: a crop of 48x32, full detail, one place holds the hole"),
        ("letterbox", "61x45 as 43x32 within 48x32"),
    ):
        frames, _ = result({**given, "--fit": fit, "--fresh": True})
        np.testing.assert_array_equal(frames[~HOLES], FRAMES[~HOLES])
        assert (frames[HOLES] == PAINT).all()
        assert words in capsys.readouterr().out


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
