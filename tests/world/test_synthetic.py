"""The procedural world as a source: what follows from a seed, masks, absent things, held-out seeds, the loader."""

import dataclasses

import numpy as np
import pytest

from tests.world.scenes import TIMES, scene_of, still
from vp_jax.data.pipeline import LoaderConfig, make_loader
from vp_jax.errors import UserError
from vp_jax.runs.input_pipeline import DataConfig, open_source
from vp_jax.world.synthetic import HELD_OUT, WordIds, World, caption, edit, make_scene, masked_thing, render


def test_a_seed_is_one_scene_and_one_picture_and_other_seeds_are_others():
    assert make_scene(3) == make_scene(3) != make_scene(4)
    first, again, other = (render(make_scene(seed), TIMES, 64, 96) for seed in (3, 3, 4))
    for name in ("frames_FHWC", "labels_FHW", "touched_FHW"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.frames_FHWC != other.frames_FHWC).any()
    assert first.frames_FHWC.shape == (5, 64, 96, 3) and first.frames_FHWC.dtype == np.uint8


def test_a_clip_masks_a_thing_that_is_visible():
    for seed in range(40):
        clip = World(64, 34, 64, 96, look="flat")[seed]
        assert clip.open().frames == 34 and clip.open().fps == 8 and clip.caption == caption(make_scene(seed, "flat"))
        frames, masks = clip.read(TIMES)
        drawn = render(make_scene(seed, "flat"), TIMES, 64, 96)
        np.testing.assert_array_equal(frames, drawn.frames_FHWC)
        np.testing.assert_array_equal(masks, drawn.mask(masked_thing(make_scene(seed, "flat"), seed)))
        assert masks.dtype == np.uint8 and set(np.unique(masks)) == {0, 1}
        area = masks.mean((1, 2))
        assert (area > 0.012).mean() >= 0.8 and area.max() < 0.3, (seed, area)


def test_an_absent_thing_is_in_the_mask_but_not_in_the_picture_nor_in_the_caption():
    clip, gone = (World(1, 34, 64, 96, first=2, absent=absent, look="flat")[0] for absent in (0.0, 1.0))
    scene, thing = clip.scene, clip.thing
    (frames, masks), (without, same_masks) = clip.read(TIMES), gone.read(TIMES)
    np.testing.assert_array_equal(masks, same_masks)
    np.testing.assert_array_equal(frames[masks == 0], without[masks == 0])
    assert np.abs(frames[masks == 1].astype(int) - without[masks == 1]).mean() > 20
    assert gone.caption == edit(scene, "remove", thing, 0).prompt and scene.things[thing].colour not in gone.caption
    some = [clip.visible is not clip.scene for clip in (World(200, 34, 64, 96, absent=0.25)[k] for k in range(200))]
    assert 30 < sum(some) < 70


def test_half_of_the_masks_hold_the_shadow_whether_the_thing_is_there_or_not():
    """A mask with a shadow must not tell that the thing is absent."""
    present, gone = (World(80, 17, 64, 96, absent=absent, look="lit") for absent in (0.0, 1.0))
    shadows = [present[k].masks_shadow for k in range(80)]
    assert 25 < sum(shadows) < 55 and shadows == [gone[k].masks_shadow for k in range(80)]
    for seed in (shadows.index(True), shadows.index(False)):
        clip, drawn = present[seed], render(make_scene(seed, "lit"), TIMES, 64, 96)
        frames, masks = clip.read(TIMES)
        without, same_masks = gone[seed].read(TIMES)
        want = drawn.reach(clip.thing) if shadows[seed] else drawn.mask(clip.thing)
        np.testing.assert_array_equal(masks, want)
        np.testing.assert_array_equal(masks, same_masks)
        np.testing.assert_array_equal(frames, drawn.frames_FHWC)
        changed = (frames != without).any(-1)
        assert not changed[drawn.reach(clip.thing) == 0].any()
        assert changed[masks == 0].any() != shadows[seed], "a shadow that the mask leaves visible goes with the thing"


def test_a_world_has_one_look():
    flat, lit = World(3, 17, 64, 96, look="flat"), World(3, 17, 64, 96)
    assert lit[2].scene == make_scene(2, "lit") and flat[2].scene == make_scene(2, "flat")
    assert lit[2].visible.look == "lit" and lit[2].caption == caption(make_scene(2, "lit"))
    assert edit(lit[2].scene, "remove", 0, 0).scene.look == "lit"
    with pytest.raises(UserError, match="look 'oil': expected one of flat, lit"):
        World(3, 17, 64, 96, look="oil")


def test_held_out_seeds_are_other_clips():
    trained, held_out = World(1000, 18, 64, 96), World(50, 18, 64, 96, first=HELD_OUT)
    assert len(held_out) == 50 and held_out[49].seed == HELD_OUT + 49
    assert not {held_out[k].id for k in range(50)} & {trained[k].id for k in range(1000)}
    assert not {held_out[k].scene for k in range(50)} & {trained[k].scene for k in range(1000)}
    with pytest.raises(IndexError):
        trained[1000]
    with pytest.raises(UserError, match="seeds 9999999 to 10000000 are partly held out"):
        World(2, 18, 64, 96, first=HELD_OUT - 1)


@pytest.mark.slow
def test_the_loader_takes_it_and_workers_change_nothing():
    cfg = LoaderConfig(batch_size=2, frames=9, height=64, width=96, on_device=True, threads=0)
    source = open_source(DataConfig(kind="synthetic", synthetic_clips=6, synthetic_first=HELD_OUT), cfg)
    assert source == World(6, 18, 64, 96, first=HELD_OUT, absent=0.2)
    lit = open_source(DataConfig(kind="synthetic", synthetic_clips=6, synthetic_look="lit"), cfg)
    assert lit == World(6, 18, 64, 96, absent=0.2, look="lit")
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
        (dict(synthetic_look="oil"), r"data\.synthetic_look 'oil': expected one of flat, lit"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(UserError, match=message):
        DataConfig(kind="synthetic", **setting)


def test_the_masked_thing_is_one_that_others_leave_visible():
    """Alone it is the thing itself; of two on top of each other never the one behind."""
    assert masked_thing(scene_of(still()), 0) == 0
    hidden = scene_of(still(), still(colour="blue", shape="square"))
    assert {masked_thing(hidden, seed) for seed in range(20)} == {1}
    apart = scene_of(still(x=-0.5), still(colour="blue", shape="square", x=0.5))
    assert {masked_thing(apart, seed) for seed in range(20)} == {0, 1}


def test_words_have_ids_of_their_own_and_zero_fills_up():
    ids = WordIds(6)("a red circle a")
    assert ids.dtype == np.int32 and ids.shape == (6,)
    assert ids[0] == ids[3] and len({*ids[:3].tolist()}) == 3 and (ids[:4] > 0).all() and not ids[4:].any()
    np.testing.assert_array_equal(WordIds(2)("a red circle"), ids[:2])
