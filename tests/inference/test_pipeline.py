"""The public calls on a real tiny pipeline: what they return, and that every argument has its effect."""

import dataclasses
import functools
import inspect

import numpy as np
import pytest
from PIL import Image

from tests import clip_files
from tests.tiny import save_tiny
from vp_jax.errors import UserError
from vp_jax.inference.inputs import Mask, Video
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.prompt import Prompt
from vp_jax.inference.request import Options
from vp_jax.inference.settings import Settings
from vp_jax.inference.task import BACKGROUND, NOT_BACKGROUND
from vp_jax.media.canvas import composite, resize_frames, resize_holes
from vp_jax.models.config import Injection

FRAMES, HEIGHT, WIDTH = 11, 40, 56


@pytest.fixture(scope="module")
def pipe(pipeline, tmp_path_factory):
    """With the ID adapter, whose keys the clip weight weighs."""
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny(folder, pipeline)
    return Pipeline.load(folder, precision="float32")


@pytest.fixture(scope="module")
def video():
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    holes = np.zeros((FRAMES, HEIGHT, WIDTH), bool)
    holes[:, :14, :20] = True  # one token of four
    return frames, holes


@pytest.fixture(scope="module")
def call(pipe, video, clip):
    """Call the pipeline with some arguments changed; three windows of two steps."""

    def call(**changes):
        arguments = {"steps": 2, "guidance": 3.0, "prompt": clip[2], **changes}
        return pipe(*video, arguments.pop("prompt"), **arguments)

    return call


@pytest.fixture(scope="module")
def plain(call):
    return call()


def test_a_call_resizes_samples_and_pastes(pipe, video, clip, plain):
    frames, holes = video
    small, small_holes = resize_frames(frames, 32, 32), resize_holes(holes, 32, 32)
    made = pipe.inpaint(small, small_holes, clip[2], pipe.settings.changed(steps=2, guidance=3.0))
    np.testing.assert_array_equal(plain.model_FHWC, made)
    want = composite(frames, resize_frames(made, HEIGHT, WIDTH), holes)
    np.testing.assert_array_equal(plain.frames_FHWC, want)
    assert len(plain) == FRAMES and plain.request.plan.windows == (0, 4, 8)


def test_videos_and_masks_do_as_well_as_arrays(pipe, video, clip, plain):
    frames, holes = video
    again = pipe(Video(frames, fps=24), Mask(~holes, invert=True), clip[2], settings=plain.request.settings)
    np.testing.assert_array_equal(again.frames_FHWC, plain.frames_FHWC)
    assert again.request.video.fps == 24


def test_a_stream_yields_the_same_frames_window_by_window(pipe, video, clip, plain):
    parts = list(pipe.stream(*video, clip[2], steps=2, guidance=3.0))
    assert [(part.window, part.start) for part in parts] == [(1, 0), (2, 9)]  # the VAE's first chunk is 9 frames
    np.testing.assert_array_equal(np.concatenate([part.frames_FHWC for part in parts]), plain.frames_FHWC)
    with pytest.raises(UserError, match="unknown setting 'stepz'"):
        pipe.stream(*video, clip[2], stepz=2)  # at once, not at the first frame


def test_files_opened_frame_by_frame_give_the_same_result_and_stream(pipe, video, clip, plain, tmp_path):
    frames, holes = video
    masks = np.repeat(holes[..., None].astype(np.uint8) * 255, 3, axis=3)
    opened = Video.open(clip_files.folder(tmp_path / "video", frames))
    mask = Mask.open(clip_files.folder(tmp_path / "mask", masks), like=opened)
    result = pipe(opened, mask, clip[2], steps=2, guidance=3.0)
    np.testing.assert_array_equal(result.model_FHWC, plain.model_FHWC)
    np.testing.assert_array_equal(result.frames_FHWC, plain.frames_FHWC)
    parts = list(pipe.stream(opened, mask, clip[2], steps=2, guidance=3.0, first_frame="original"))
    want = pipe(*video, clip[2], steps=2, guidance=3.0, first_frame="original")
    np.testing.assert_array_equal(np.concatenate([part.frames_FHWC for part in parts]), want.frames_FHWC)


@pytest.mark.slow
def test_progress_is_reported(pipe, video, clip):
    calls = []
    pipe(*video, clip[2], steps=2, progress=lambda *call: calls.append(call))
    assert calls[0] == (1, 6, "window 1/3") and calls[-1] == (6, 6, f"decoding {FRAMES}/{FRAMES} frames")


@pytest.mark.slow
def test_a_shot_reads_nothing_of_what_was_before_its_cut(pipe, video, clip, call):
    frames, holes = video
    cut = call(cuts=(6,), clip_weight=0.5)
    assert cut.request.plan.windows == (0, 4, 6) and len(cut) == FRAMES
    alone = pipe(frames[:6], holes[:6], clip[2], steps=2, guidance=3.0, clip_weight=0.5)
    np.testing.assert_array_equal(cut.model_FHWC[:6], alone.model_FHWC)
    other = frames.copy()
    other[:6] = 255 - other[:6]
    after = pipe(other, holes, clip[2], steps=2, guidance=3.0, clip_weight=0.5, cuts=(6,))
    np.testing.assert_array_equal(cut.model_FHWC[6:], after.model_FHWC[6:])
    assert (cut.model_FHWC[:6] != after.model_FHWC[:6]).any()


def test_a_given_first_frame_is_what_the_model_continues(pipe, video, clip, call, tmp_path):
    """As if the video had begun with it, without a hole there."""
    frames, holes = video
    first = np.full((HEIGHT, WIDTH, 3), (9, 200, 9), np.uint8)
    Image.fromarray(first).save(tmp_path / "first.png")
    small, small_holes = resize_frames(frames, 32, 32).copy(), resize_holes(holes, 32, 32).copy()
    small[0], small_holes[0] = (9, 200, 9), False
    want = pipe.inpaint(small, small_holes, clip[2], pipe.settings.changed(steps=2, guidance=3.0))
    for given in (first, tmp_path / "first.png"):
        np.testing.assert_array_equal(call(first_frame=given).model_FHWC, want)


def test_the_original_first_frame_comes_back_untouched(video, call, plain):
    kept = call(first_frame="original")
    np.testing.assert_array_equal(kept.frames_FHWC[0], video[0][0])
    assert (plain.frames_FHWC[0] != video[0][0]).any() and (kept.frames_FHWC[1] != video[0][1]).any()


OTHER = Prompt(*np.random.default_rng(7).standard_normal((2, 3, 6), np.float32))
KNOBS = [
    {"prompt": OTHER},
    {"height": 48, "width": 64},
    {"paste": False},
    {"feather": 3},
    {"fit": "letterbox"},
    {"fit": "crop"},
    {"task": "remove"},
    {"settings": Settings(steps=2, guidance=3.0, window=5, seed=7)},
    {"steps": 3},
    {"guidance": 2.0},
    {"dynamic_guidance": False},
    {"guidance_start": 0.5},
    {"guidance_stop": 0.5},
    {"sampler": "ddim"},
    {"window": 9},
    {"mode": "reference"},
    {"clip_weight": 0.5},
    {"joint": True},
    {"replace_background": False, "paste": False},
    {"hole_fill": "mean"},
    {"hole_fill": "black"},
    {"injection": Injection(scale=0.5)},
    {"injection": Injection(tokens="all")},
    {"seed": 7},
]
TWO_WINDOWS = {"window", "mode", "clip_weight", "joint"}
"""Arguments that show in several windows alone; the others are tried on one window, which has fewer programs."""
APART = {
    *("video", "mask", "negative_prompt", "progress", "first_frame", "overlap", "extend", "cuts", "step_cache"),
    *("affected", "background_every"),
}
"""Arguments with tests of their own in this file, in test_step_cache.py, test_near_hole.py and test_conditioned.py."""


@pytest.fixture(scope="module")
def short(pipe, video, clip):
    """As ``call``, on the first frames of the video."""
    frames, holes = video

    def call(count, **changes):
        arguments = {"steps": 2, "guidance": 3.0, "prompt": clip[2], **changes}
        return pipe(frames[:count], holes[:count], arguments.pop("prompt"), **arguments)

    return call


@pytest.fixture(scope="module")
def unchanged(short):
    """What ``short`` gives without the change, by the number of frames and ``paste``."""
    return functools.cache(lambda count, paste=True: short(count, paste=paste))


def test_every_argument_has_a_test():
    parameters = {*inspect.signature(Pipeline.__call__).parameters} - {"self", "options"}
    parameters |= set(Options.__annotations__)
    assert {name for knob in KNOBS for name in knob} | APART == parameters
    assert {field.name for field in dataclasses.fields(Settings)} < parameters


@pytest.mark.slow
@pytest.mark.parametrize("change", KNOBS, ids=[" ".join(knob) + f" {number}" for number, knob in enumerate(KNOBS)])
def test_every_argument_changes_the_result(short, unchanged, change):
    frames = 9 if TWO_WINDOWS & set(change) else 5
    base, changed = unchanged(frames, paste="replace_background" not in change), short(frames, **change)
    assert len(changed) < len(base) or (changed.frames_FHWC != base.frames_FHWC).any()


@pytest.mark.slow
def test_the_overlap_changes_the_windows_and_the_result(call):
    one, five = (call(window=9, overlap=overlap) for overlap in (1, 5))
    assert (one.request.plan.windows, five.request.plan.windows) == ((0, 8), (0, 4))
    assert (one.frames_FHWC != five.frames_FHWC).any()


def test_an_extended_picture_keeps_its_old_part(pipe, video, clip):
    frames, holes = video
    look = {"steps": 2, "guidance": 3.0, "extend": "left=8,bottom=4"}
    result = pipe(frames[:5], None, clip[2], **look).frames_FHWC
    assert result.shape == (5, HEIGHT + 4, WIDTH + 8, 3)
    np.testing.assert_array_equal(result[:, :HEIGHT, 8:], frames[:5])
    both = pipe(frames[:5], holes[:5], clip[2], **look)
    assert both.request.holes_FHW.sum() == holes[:5].sum() + 5 * (44 * 64 - 40 * 56)
    np.testing.assert_array_equal(both.frames_FHWC[:, :HEIGHT, 8:][~holes[:5]], frames[:5][~holes[:5]])


def test_a_crop_generates_a_small_hole_at_full_detail(pipe, video, clip):
    """What the model sees are the source's own pixels, and its pixels come back to their place."""
    frames, _ = video
    holes = np.zeros((5, HEIGHT, WIDTH), bool)
    holes[:, 20:30, 40:50] = True
    result = pipe(frames[:5], holes, clip[2], steps=2, guidance=3.0, fit="crop")
    box = result.request.fit.box(0)
    assert box.size == (32, 32) == result.request.size
    seen, kept = result.request.padded.frames_FHWC, ~result.request.padded.holes_FHW
    np.testing.assert_array_equal(seen[kept], frames[:5, box.rows, box.columns][kept])
    inside = holes[:, box.rows, box.columns]
    np.testing.assert_array_equal(result.frames_FHWC[:, box.rows, box.columns][inside], result.model_FHWC[inside])
    np.testing.assert_array_equal(result.frames_FHWC[~holes], frames[:5][~holes])


@pytest.mark.slow
def test_a_removal_has_its_own_words(pipe, video, clip, monkeypatch):
    texts = []

    def encode(prompts):
        texts.append(list(prompts))
        return np.stack(clip[2])

    monkeypatch.setattr(pipe, "encode_prompts", encode)
    pipe(video[0][:5], video[1][:5], task="remove", steps=1)
    pipe(video[0][:5], video[1][:5], "a lawn", negative_prompt="", task="remove", steps=1)
    assert texts == [[BACKGROUND, NOT_BACKGROUND], ["a lawn", ""]]


def test_both_prompts_are_read(pipe, video, clip, plain, monkeypatch):
    texts = []

    def encode(prompts):
        texts.append(list(prompts))
        return np.stack(clip[2])

    monkeypatch.setattr(pipe, "encode_prompts", encode)
    result = pipe(*video, "a ball", negative_prompt="blur", steps=2, guidance=3.0)
    assert texts == [["a ball", "blur"]]
    np.testing.assert_array_equal(result.frames_FHWC, plain.frames_FHWC)
    swapped = pipe(*video, Prompt(*reversed(clip[2])), steps=2, guidance=3.0)
    assert (swapped.frames_FHWC != plain.frames_FHWC).any()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"prompt": "a ball"}, "this model has no text encoder: convert one, or give embeddings"),
        ({"prompt": Prompt(*np.zeros((2, 3, 5), np.float32))}, r"text embeddings of shape \(3, 5\): expected \(3, 6\)"),
        ({"prompt": Prompt(*np.zeros((2, 1, 3, 6), np.float32))}, r"text embeddings of shape \(1, 3, 6\)"),
        ({"height": 100}, "height 100: expected a multiple of 16"),
        ({"stepz": 2}, "unknown setting 'stepz': did you mean steps"),
        ({"steps": 0}, "steps 0: expected 1 to 1000"),
        ({"feather": -1}, "feather -1"),
        ({"overlap": 2}, "overlap 2 of window 5"),
        ({"prompt": None}, "expected a prompt"),
        ({"fit": "zoom"}, "fit zoom: expected stretch, letterbox or crop"),
        ({"fit": "crop", "paste": False}, "fit crop: .* expected a result that is pasted"),
        ({"task": "erase"}, "task erase: expected fill or remove"),
        ({"task": "remove", "first_frame": "original"}, "first_frame original with `task` remove"),
        ({"extend": "up=3"}, "extend up=3: expected sides such as left=160"),
        ({"extend": "left=4", "first_frame": "original"}, "first_frame original with `extend`"),
        ({"mode": "reference", "window": 13}, "11 frames, but reference mode needs at least one window of 13"),
    ],
)
def test_mistakes_are_one_line(call, change, message):
    with pytest.raises(UserError, match=message) as caught:
        call(**change)
    assert "\n" not in str(caught.value)


def test_a_model_of_one_size_names_it(pipe, monkeypatch):
    monkeypatch.setattr(Pipeline, "fixed_size", True)
    assert pipe.size() == pipe.size(32, 32) == (32, 32)
    with pytest.raises(UserError, match="height 48 width 32: this model runs at 32 x 32 only"):
        pipe.size(height=48)
