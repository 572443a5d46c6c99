"""Mistakes in the command line of `vp-jax sample`: one line each, and before a model is loaded wherever that can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.cli.sample_job import FRAMES, HOLES, H, W, status
from vp_jax.media.video_writer import write_video

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
    ({"--mask": None}, "--mask not given"),
    ({"--extend": "up=3"}, "--extend up=3: expected sides such as left=160"),
    ({"--task": "remove", "--first_frame": "original"}, "first_frame original with --task remove"),
    ({"--fit": "crop", "--no_composite": True}, "--fit crop: the model sees a part"),
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
    ({"--out": ""}, "argument --out: is empty, expected a name"),
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
