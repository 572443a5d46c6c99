"""The procedural world: what follows from a seed, that masks and edits are exact, and that a loader takes it."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from vp_jax.cli.main import run
from vp_jax.data.pipeline import LoaderConfig, make_loader
from vp_jax.errors import UserError
from vp_jax.runs.feed import DataConfig, open_source
from vp_jax.world.outlines import DISTANCES
from vp_jax.world.render import RGB
from vp_jax.world.scene import (
    COLOURS,
    GROUND_COLOURS,
    GROUNDS,
    HALF_HEIGHT,
    HALF_WIDTH,
    MOTIONS,
    PATTERNS,
    SHAPES,
    Ground,
    Light,
    Scene,
    Thing,
    pose,
)
from vp_jax.world.synthetic import (
    HELD_OUT,
    OPERATIONS,
    VOCABULARY,
    WordIds,
    World,
    caption,
    edit,
    edit_masks,
    make_scene,
    masked_thing,
    possible,
    render,
    thing_caption,
)

TIMES = np.arange(0, 17, 4)
HOLES = range(12)


def still(**changes) -> Thing:
    """A thing that hardly moves, in the middle."""
    values = dict(
        shape="circle",
        colour="red",
        pattern="plain",
        motion="pulses",
        radius=0.2,
        x=0.0,
        y=0.0,
        dx=0.0,
        dy=0.0,
        period=16.0,
        phase=0.0,
        angle=0.0,
        turn=0.2,
        breathe=0.0,
        squash=0.0,
    )
    return Thing(**{**values, **changes})


def scene_of(*things: Thing) -> Scene:
    return Scene(Ground("clouds", "grey", 5, 0.0, 0.0, 0.0, 40.0), Light(-1.0, 0.0, 20.0), things)


def test_a_seed_is_one_scene_and_one_picture_and_other_seeds_are_others():
    assert make_scene(3) == make_scene(3) != make_scene(4)
    first, again, other = (render(make_scene(seed), TIMES, 64, 96) for seed in (3, 3, 4))
    for name in ("frames_FHWC", "labels_FHW", "touched_FHW"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.frames_FHWC != other.frames_FHWC).any()
    assert first.frames_FHWC.shape == (5, 64, 96, 3) and first.frames_FHWC.dtype == np.uint8


def test_a_frame_depends_on_its_own_time_alone():
    scene = make_scene(7)
    whole, part = render(scene, np.arange(17), 64, 96), render(scene, np.array([3.0, 11.0]), 64, 96)
    np.testing.assert_array_equal(whole.labels_FHW[[3, 11]], part.labels_FHW)
    np.testing.assert_array_equal(whole.frames_FHWC[[3, 11]], part.frames_FHWC)


@pytest.mark.parametrize("seed", range(8))
def test_the_same_picture_at_every_size(seed):
    scene = make_scene(seed)
    small, large = render(scene, TIMES, 64, 96), render(scene, TIMES, 128, 192)
    halved = large.frames_FHWC.reshape(5, 64, 2, 96, 2, 3).astype(float).mean((2, 4))
    difference = np.abs(halved - small.frames_FHWC)
    assert difference.mean() < 1 and np.quantile(difference, 0.999) < 40
    agree = large.labels_FHW[:, ::2, ::2] == small.labels_FHW
    assert agree.mean() > 0.98


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_lie_in_the_unit_disc_and_labels_follow_the_signed_distance(shape):
    grid = np.linspace(-1.5, 1.5, 301)
    x, y = np.meshgrid(grid, grid)
    inside = DISTANCES[shape](x, y) < 0
    assert 0.6 < inside.sum() * 0.01**2 < np.pi, "big enough to be seen"
    assert np.hypot(x, y)[inside].max() <= 1
    drawn = render(scene_of(still(shape=shape)), np.zeros(1), 300, 450)
    area = (drawn.labels_FHW == 1).sum() / 300**2
    assert area == pytest.approx(inside.sum() * 0.01**2 * 0.2**2, rel=0.03)


def test_a_label_is_more_than_half_of_the_pixel_and_the_mask_every_bit_of_it():
    thing = scene_of(still(x=0.013, y=-0.021))
    small, fine = render(thing, np.zeros(1), 64, 96), render(thing, np.zeros(1), 64 * 16, 96 * 16)
    part = (fine.labels_FHW == 1).reshape(64, 16, 96, 16).mean((1, 3))
    label, mask = small.labels_FHW[0] == 1, small.mask(0)[0] == 1
    assert label[part > 0.6].all() and not label[part < 0.4].any()
    assert mask[part > 0.1].all() and mask[label].all() and not (small.mask(1)).any()


def test_later_things_hide_earlier_ones():
    red, blue = still(), still(colour="blue", shape="square", x=0.1)
    front, back = render(scene_of(red, blue), TIMES, 64, 96), render(scene_of(blue, red), TIMES, 64, 96)
    both = (render(scene_of(red), TIMES, 64, 96).labels_FHW == 1) & (
        render(scene_of(blue), TIMES, 64, 96).labels_FHW == 1
    )
    assert both.sum() > 100
    assert (front.labels_FHW[both] == 2).all() and (back.labels_FHW[both] == 2).all()
    channels = front.frames_FHWC[both].mean(0), back.frames_FHWC[both].mean(0)
    assert channels[0].argmax() == 2 and channels[1].argmax() == 0


@pytest.mark.parametrize("colour", COLOURS)
def test_a_thing_has_the_colour_of_its_name(colour):
    drawn = render(scene_of(still(colour=colour)), np.zeros(1), 64, 96)
    mean = drawn.frames_FHWC[drawn.labels_FHW == 1].mean(0)
    named = {name: np.linalg.norm(mean - np.array(rgb)) for name, rgb in RGB.items()}
    assert min(named, key=named.get) == colour


def test_things_move_smoothly_and_stay_in_the_frame():
    for seed in range(60):
        for thing in make_scene(seed).things:
            at = pose(thing, np.arange(0, 34, 0.25))
            assert (np.hypot(np.diff(at.x_F), np.diff(at.y_F)) < 0.05).all()
            assert (np.abs(at.x_F) <= HALF_WIDTH - 0.8 * thing.radius).all(), (seed, thing)
            assert (np.abs(at.y_F) <= HALF_HEIGHT - 0.75 * thing.radius).all(), (seed, thing)


def test_captions_are_short_and_say_every_word_of_the_scene():
    seen: Counter[str] = Counter()
    for seed in (*range(400), *range(HELD_OUT, HELD_OUT + 100)):
        scene = make_scene(seed)
        words = caption(scene).split()
        seen.update(words)
        assert len(words) <= 20 and set(words) <= VOCABULARY and len(VOCABULARY) < 120
        assert scene.ground.kind == words[-1] and scene.ground.colour == words[-2]
        for index, thing in enumerate(scene.things):
            assert f"{thing_caption(scene, index)} {thing.motion}" in caption(scene)
            assert (thing.pattern in thing_caption(scene, index)) == (thing.pattern != "plain")
        for name in ("shape", "colour"):
            assert len({getattr(thing, name) for thing in scene.things}) == len(scene.things)
    everything = {*SHAPES, *COLOURS, *PATTERNS[1:], *MOTIONS, *GROUNDS, *GROUND_COLOURS}
    assert everything <= set(seen) and everything <= VOCABULARY


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("seed", HOLES)
def test_outside_of_its_hole_an_edit_changes_no_bit(seed, operation):
    scene = make_scene(seed)
    if operation not in possible(scene):
        assert operation == "add" and len(scene.things) == 3
        with pytest.raises(UserError, match="3 things already"):
            edit(scene, operation, 0, seed)
        return
    for thing in range(len(scene.things)):
        done = edit(scene, operation, thing, seed)
        before, after = render(scene, TIMES, 64, 96), render(done.scene, TIMES, 64, 96)
        hole = edit_masks(before, after, done) == 1
        np.testing.assert_array_equal(before.frames_FHWC[~hole], after.frames_FHWC[~hole])
        assert 0 < hole.mean() < 0.5
        assert np.abs(before.frames_FHWC[hole].astype(int) - after.frames_FHWC[hole]).mean() > 5, "it shows"
        assert done.prompt == caption(done.scene) != caption(scene)


@pytest.mark.parametrize("seed", HOLES)
def test_edits_change_what_they_say_and_nothing_else(seed):
    scene = make_scene(seed)
    thing = len(scene.things) - 1
    old, looks = scene.things[thing], ("shape", "colour", "pattern")
    for operation, differs in (("change", {"colour"}), ("shape", {"shape"}), ("swap", set(looks))):
        done = edit(scene, operation, thing, seed)
        new = done.scene.things[thing]
        assert {name for name in looks if getattr(new, name) != getattr(old, name)} == differs
        assert dataclasses.replace(new, **{name: getattr(old, name) for name in looks}) == old, "moves the same way"
        assert done.thing == thing and done.scene.things[:thing] == scene.things[:thing]
        assert edit(scene, operation, thing, seed) == done
    removed = edit(scene, "remove", thing, seed)
    assert removed.scene.things == scene.things[:-1] and removed.thing == thing
    if "add" in possible(scene):
        added = edit(scene, "add", thing, seed)
        assert added.scene.things[:-1] == scene.things and added.thing == len(scene.things)
    assert len({edit(scene, "swap", thing, draw).prompt for draw in range(12)}) > 4
    assert all(edit(scene, name, thing, seed).scene.ground == scene.ground for name in possible(scene))


def test_wrong_edits_are_said_in_one_line():
    scene = make_scene(0)
    with pytest.raises(UserError, match="edit 'paint': expected one of change, shape, add, remove, swap"):
        edit(scene, "paint", 0, 0)
    with pytest.raises(UserError, match="thing 7: the scene has"):
        edit(scene, "change", 7, 0)
    empty = edit(scene_of(still()), "remove", 0, 0)
    assert empty.scene.things == () and possible(empty.scene) == ("add",) and empty.prompt == "grey clouds"


def test_a_clip_masks_a_thing_that_is_visible():
    for seed in range(40):
        clip = World(64, 34, 64, 96)[seed]
        assert clip.open().frames == 34 and clip.open().fps == 8 and clip.caption == caption(make_scene(seed))
        frames, masks = clip.read(TIMES)
        drawn = render(make_scene(seed), TIMES, 64, 96)
        np.testing.assert_array_equal(frames, drawn.frames_FHWC)
        np.testing.assert_array_equal(masks, drawn.mask(masked_thing(make_scene(seed), seed)))
        assert masks.dtype == np.uint8 and set(np.unique(masks)) == {0, 1}
        area = masks.mean((1, 2))
        assert (area > 0.012).mean() >= 0.8 and area.max() < 0.3, (seed, area)


def test_an_absent_thing_is_in_the_mask_but_not_in_the_picture_nor_in_the_caption():
    clip, gone = World(1, 34, 64, 96, first=2)[0], World(1, 34, 64, 96, first=2, absent=1.0)[0]
    scene, thing = clip.scene, clip.thing
    (frames, masks), (without, same_masks) = clip.read(TIMES), gone.read(TIMES)
    np.testing.assert_array_equal(masks, same_masks)
    np.testing.assert_array_equal(frames[masks == 0], without[masks == 0])
    assert np.abs(frames[masks == 1].astype(int) - without[masks == 1]).mean() > 20
    assert gone.caption == edit(scene, "remove", thing, 0).prompt and scene.things[thing].colour not in gone.caption
    some = [clip.shown is not clip.scene for clip in (World(200, 34, 64, 96, absent=0.25)[k] for k in range(200))]
    assert 30 < sum(some) < 70


def test_held_out_seeds_are_other_clips():
    trained, held_out = World(1000, 18, 64, 96), World(50, 18, 64, 96, first=HELD_OUT)
    assert len(held_out) == 50 and held_out[49].seed == HELD_OUT + 49
    assert not {held_out[k].id for k in range(50)} & {trained[k].id for k in range(1000)}
    assert not {held_out[k].scene for k in range(50)} & {trained[k].scene for k in range(1000)}
    with pytest.raises(IndexError):
        trained[1000]
    with pytest.raises(UserError, match="seeds 9999999 to 10000000 are partly held out"):
        World(2, 18, 64, 96, first=HELD_OUT - 1)


def test_the_loader_takes_it_and_workers_change_nothing():
    cfg = LoaderConfig(batch_size=2, frames=9, height=64, width=96, on_device=True, threads=0)
    source = open_source(DataConfig(kind="synthetic", synthetic_clips=6, synthetic_first=HELD_OUT), cfg)
    assert source == World(6, 18, 64, 96, first=HELD_OUT, absent=0.2)
    loaders = [
        make_loader(source, dataclasses.replace(cfg, workers=workers), tokenizer=WordIds(24)) for workers in (0, 1)
    ]
    batches = [[next(loader) for _ in range(3)] for loader in loaders]
    for loader in loaders:
        loader.close()
    for alone, worker in zip(*batches):
        for name in ("pixels", "masks", "input_ids", "id", "caption"):
            np.testing.assert_array_equal(alone[name], worker[name])
        assert alone["pixels"].shape == (2, 9, 64, 96, 3) and alone["masks"].any()
    assert {name for batch in batches[0] for name in batch["id"]} == {source[k].id for k in range(6)}


@pytest.mark.parametrize(
    "setting, message",
    [
        (dict(synthetic_first=-1), r"data\.synthetic_first -1: expected 0 or more"),
        (dict(synthetic_absent=1.5), r"data\.synthetic_absent 1\.5: expected 0 to 1"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(UserError, match=message):
        DataConfig(kind="synthetic", **setting)


def test_the_sheet_command_draws(tmp_path):
    out = tmp_path / "world.png"
    run(["sheet", "world", str(out), "--scenes", "1", "--edits", "2", "--height", "32"])
    with Image.open(out) as picture:
        assert picture.size == (6 * (48 + 4) + 4, 7 * (32 + 15) + 4), "a scene, it before its edits, five edits"
    with pytest.raises(UserError, match="none below 0"):
        run(["sheet", "world", str(out), "--scenes", "-4"])
