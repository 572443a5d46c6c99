"""Latent shards, writing: what is stored of a window, which draws follow from which numbers, what is left out."""

import functools
import json
import pickle
import socket
from dataclasses import replace

import numpy as np
import pytest

from tests.data.shards.encoders import LOADER, MeanEncoders, NoText, open_source
from vp_jax.data.clips import Resize
from vp_jax.data.pipeline import make_loader
from vp_jax.data.shards.latent_records import LatentRecords, load_empty_text, part_name
from vp_jax.data.shards.latents import SampleLatents
from vp_jax.data.shards.latents_tfds import EncodeClip, LatentConfig, build_latents, encode_window
from vp_jax.errors import UserError
from vp_jax.files import locked
from vp_jax.models.latent_grid import masks_to_latent_grid


def test_stored_posteriors_are_the_encoder_s(latent_shards, layout):
    records = LatentRecords(latent_shards)
    clips = {clip.id: clip for clip in open_source(layout)}
    assert len(records) == 16 and len({records[i].id for i in range(16)}) == 16
    for number in range(4):
        record, stored = records[number], records[number].arrays()
        frames_FHWC, _ = clips[record.clip_id].read(stored["indices"])
        assert len(stored["indices"]) == 9 and (np.diff(stored["indices"]) == 3).all()
        want = Resize(32, 48).frames(frames_FHWC)[::4, ::8, ::8] / 127.5 - 1
        np.testing.assert_allclose(stored["clean_mean"], want, atol=2e-3)
        assert stored["clean_mean"].dtype == np.float16 and stored["clean_mean"].shape == (3, 4, 6, 3)
        assert stored["masked_mean"].shape == (3, 3, 4, 6, 3) and stored["mask"].shape == (3, 3, 4, 6)
        # the picked pixel of a hole is black, that of the background is the clean one
        hole = np.broadcast_to(stored["mask"][:, [0, 1, 2]][..., None] == 1, stored["masked_mean"].shape)[:, 0]
        assert (stored["masked_mean"][:, 0][hole] == -1).all()
        assert not stored["mask"][:, 0].any()  # the first frame is shown
        np.testing.assert_array_equal(stored["masked_mean"][0, 0], stored["clean_mean"][0])
        assert stored["image_mean"].shape == (2, 1, 4, 6, 3)
        noise = stored["image_mean"].astype(np.float32) - stored["clean_mean"][:1].astype(np.float32)
        assert 0.005 < noise.std() < 0.5  # exp(N(-3, 0.5)) is 0.05 in the middle
        assert (stored["text"] == len(record.caption)).all()


def test_pre_drawn_masks_differ_and_draws_repeat(layout):
    clip, cfg = open_source(layout)[0], LatentConfig(replace(LOADER, augment=replace(LOADER.augment, probability=1.0)))
    first, again = (encode_window(clip, (1, 2, 3), cfg, MeanEncoders()) for _ in range(2))
    other = encode_window(clip, (1, 2, 4), cfg, MeanEncoders())
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert any((first["mask"][0] != mask).any() for mask in first["mask"][1:])
    assert (first["mask"] != other["mask"]).any()


def test_pixel_and_latent_loaders_agree_on_masks_of_the_untouched_object(layout):
    """The same recipe step by step: an unchanged mask on the latent grid is the pixel loader's mask there."""
    plain = replace(LOADER, augment=replace(LOADER.augment, probability=0.0), frames=10 - 1)
    batch = next(make_loader(open_source(layout), plain))
    places = {clip.id: clip for clip in open_source(layout)}
    stored = encode_window(places[str(batch["id"][0])], (0,), LatentConfig(plain, masks=1), MeanEncoders())
    candidates = {masks_to_latent_grid(batch["masks_BFHW"][0].astype(np.uint8)).tobytes()}
    for seed in range(8):  # 30 frames at 24 fps hold two windows of nine
        stored = encode_window(places[str(batch["id"][0])], (seed,), LatentConfig(plain, masks=1), MeanEncoders())
        candidates.discard(stored["mask"][0].tobytes())
    assert not candidates


def test_what_was_built_before_is_kept_and_nothing_of_a_build_is_left_beside_it(clean_shards, layout):
    cfg, opened = LatentConfig(LOADER, masks=0, images=1), functools.partial(open_source, layout)
    before = sorted(clean_shards.parents[1].rglob("*"))
    with pytest.raises(UserError, match="is built already: remove it"):
        build_latents(cfg, opened, MeanEncoders, clean_shards.parents[1])
    assert sorted(clean_shards.parents[1].rglob("*")) == before
    assert {path.name for path in clean_shards.parent.iterdir()} == {"1.0.0", ".1.0.0.lock"}
    assert [path.name for path in clean_shards.parents[1].iterdir()] == ["vpdata_latents"]


def test_what_an_interrupted_build_left_is_removed_and_what_looks_like_it_is_not(layout, tmp_path):
    cfg, opened = LatentConfig(LOADER, masks=0, images=1), functools.partial(open_source, layout)
    place = tmp_path / "vpdata_latents"
    ours, users, tfds_like = (place / name for name in (".vp_jax-ours", ".vp_jax-user", "incomplete.ABCDEF_1.0.0"))
    for folder in (ours, users, tfds_like):
        folder.mkdir(parents=True)
        (folder / "precious").write_text("mine")
    mark = {"host": socket.gethostname(), "pid": 2**22 - 1, "started": "1", "names": ["1.0.0"]}
    (ours / "mine").write_text(json.dumps(mark))
    assert build_latents(cfg, opened, NoText, tmp_path) == place / "1.0.0"
    assert not ours.exists() and all((folder / "precious").exists() for folder in (users, tfds_like))


def test_two_builds_of_the_same_shards_do_not_meet(layout, tmp_path):
    cfg, opened = LatentConfig(LOADER, masks=0, images=1), functools.partial(open_source, layout)
    with locked(tmp_path / "vpdata_latents" / ".1.0.0.lock", "busy"):
        with pytest.raises(UserError, match=r"another process builds .*1\.0\.0: wait"):
            build_latents(cfg, opened, NoText, tmp_path)


@pytest.mark.parametrize(
    "bad",
    [{"masks": -1}, {"images": 0}, {"loader": replace(LOADER, frames=10)}, {"loader": replace(LOADER, height=60)}],
)
def test_windows_that_cannot_be_encoded_are_refused(bad):
    with pytest.raises(UserError):
        LatentConfig(**bad)


def test_more_masks_images_and_windows_leave_the_first_ones_as_they_are(layout):
    """Every draw has its own number: shards with more of everything hold those with less."""
    clip, augment = open_source(layout)[2], replace(LOADER.augment, probability=1.0)
    loader = replace(LOADER, augment=augment)
    few, many = (
        encode_window(clip, (5, 2, 0), LatentConfig(loader, masks=masks, images=images), MeanEncoders())
        for masks, images in ((1, 1), (3, 4))
    )
    assert len(many["mask"]) == 3 and len(many["image_mean"]) == 4 and len(few["mask"]) == len(few["image_mean"]) == 1
    for name in ("indices", "clean_mean", "clean_std"):
        np.testing.assert_array_equal(few[name], many[name])
    for name in ("mask", "masked_mean", "image_mean"):
        np.testing.assert_array_equal(few[name], many[name][:1])


def test_a_clip_gives_as_many_records_as_windows_each_with_its_own_draws(layout):
    cfg = LatentConfig(LOADER, masks=0, images=1, windows=3)
    encode = EncodeClip(cfg, functools.partial(open_source, layout), MeanEncoders)
    records = list(encode(4))
    clip = open_source(layout)[4]
    assert [key for key, _ in records] == [f"{clip.id}/{window}" for window in range(3)]
    for key, fields in records:
        assert (fields["id"], fields["clip_id"], fields["caption"]) == (key, clip.id, clip.caption)
    assert len({fields["arrays"] for _, fields in records}) == 3


def test_masks_follow_the_settings_of_the_loader(layout):
    clip = open_source(layout)[0]

    def stored(**changes):
        cfg = LatentConfig(replace(LOADER, augment=replace(LOADER.augment, probability=0.0), **changes), masks=1)
        return encode_window(clip, (0,), cfg, MeanEncoders())["mask"][0]

    plain, open_first, covered = stored(), stored(show_first_frame=False), stored(cover_cells=True)
    assert not plain[0].any() and open_first[0].any() and (open_first[1:] == plain[1:]).all()
    assert (covered >= plain).all() and covered.sum() > plain.sum()


class Broken(MeanEncoders):
    """The embedding of one caption is infinite."""

    def text(self, captions):
        value = np.inf if "number 3," in captions[0] else 1.0
        return np.full((len(captions), 5, 4), value, np.float32)


def test_a_clip_that_cannot_be_encoded_is_named_beside_the_shards(layout, tmp_path):
    opened = functools.partial(open_source, layout)
    (number,) = [i for i in range(8) if "number 3," in opened()[i].caption]
    folder = build_latents(LatentConfig(LOADER, masks=0, images=1), opened, Broken, tmp_path)
    records = LatentRecords(folder)
    assert {records[i].clip_id for i in range(len(records))} == {opened()[i].id for i in range(8) if i != number}
    (entry,) = [json.loads(line) for file in folder.glob("bad-train*.jsonl") for line in file.read_text().splitlines()]
    assert entry == {"id": str(number), "reason": "text have values that are not finite in float16"}


class AllBroken(MeanEncoders):
    def text(self, captions):
        return np.full((len(captions), 5, 4), np.nan, np.float32)


def test_shards_of_nothing_are_refused_with_the_first_reason(layout, tmp_path):
    opened = functools.partial(open_source, layout)
    with pytest.raises(UserError, match=r"none of the clips can be used; the first is .*: text have values"):
        build_latents(LatentConfig(LOADER, masks=0, images=1), opened, AllBroken, tmp_path)


def test_under_some_masks_the_first_frame_has_a_hole_and_its_picture_shows_it(layout):
    """The share is that of the loader; every mask has its own pictures, and an example takes both of one mask."""
    clip, loader = open_source(layout)[0], replace(LOADER, first_frame_dropout=0.5, cover_cells=True)
    stored = encode_window(clip, (4,), LatentConfig(loader, masks=8, images=2), MeanEncoders())
    np.testing.assert_array_equal(stored["image_of"], np.repeat(np.arange(8), 2))
    holes = stored["mask"][:, 0].astype(bool)
    assert 0 < holes.any(axis=(1, 2)).sum() < 8
    for mask, (mean, owner) in zip(holes[stored["image_of"]], zip(stored["image_mean"][:, 0], stored["image_of"])):
        black = (stored["masked_mean"][owner, 0] == -1).all(-1)
        assert (np.abs(mean - stored["masked_mean"][owner, 0]) < 0.5).all(), "noise, and nothing else"
        assert black.any() == mask.any() and mask[black].all()
    whole = encode_window(clip, (4,), LatentConfig(replace(loader, first_frame_dropout=0.0), masks=8), MeanEncoders())
    assert "image_of" not in whole and not whole["mask"][:, 0].any()
    np.testing.assert_array_equal(whole["mask"][:, 1:], stored["mask"][:, 1:])


def test_an_example_takes_mask_and_first_frame_together(layout, tmp_path):
    loader = replace(LOADER, first_frame_dropout=0.5, cover_cells=True, image_log_sigma=(-9.0, 0.0))
    shards = build_latents(
        LatentConfig(loader, masks=4, images=1), functools.partial(open_source, layout), NoText, tmp_path
    )
    clip, seen = LatentRecords(shards)[0], set()
    for number in range(40):
        drawn = SampleLatents(1.0, image_dropout=0.0, text=False)({"clip": clip}, np.random.default_rng(number))
        hole = drawn["mask"][0].astype(bool)
        seen.add(bool(hole.any()))
        if hole.any():
            black = drawn["masked_latents"][0][hole]
            assert black.min() < -0.9 and np.abs(drawn["image_latents"][0][hole] - black).mean() < 0.4, "the same hole"
        else:
            assert drawn["image_latents"][0].mean() > -0.8, "the picture of another mask would be black in part"
    assert seen == {True, False}


def built_in_parts(layout, out, made_with=None, encoders=MeanEncoders, parts=3):
    cfg, opened = LatentConfig(LOADER, masks=1, images=1), functools.partial(open_source, layout)
    return build_latents(cfg, opened, encoders, out, parts=parts, made_with={"vae": "one", **(made_with or {})})


@pytest.mark.slow
def test_parts_hold_together_what_one_build_holds(layout, tmp_path):
    cfg, opened = LatentConfig(LOADER, masks=1, images=1), functools.partial(open_source, layout)
    whole = LatentRecords(build_latents(cfg, opened, MeanEncoders, tmp_path / "whole"))
    assert built_in_parts(layout, tmp_path / "parts") == tmp_path / "parts"
    parts = LatentRecords(tmp_path / "parts")
    assert len(parts) == len(whole) and parts[len(parts) - 1].id and load_empty_text(tmp_path / "parts") is not None
    stored = {clip.id: clip.arrays() for clip in (whole[index] for index in range(len(whole)))}
    found = [parts[index] for index in range(len(parts))]
    assert sorted(clip.id for clip in found) == sorted(stored)
    for clip in found:
        for name, array in clip.arrays().items():
            np.testing.assert_array_equal(array, stored[clip.id][name], err_msg=name)
    for outside in (-1, len(parts)):
        with pytest.raises(IndexError):
            parts[outside]
    again = pickle.loads(pickle.dumps(parts))
    assert [again[index].id for index in range(len(again))] == [clip.id for clip in found]
    first = LatentRecords(tmp_path / "parts" / part_name(0, 3))
    assert [first[index].id for index in range(len(first))] == [clip.id for clip in found[: len(first)]]


@pytest.mark.slow
def test_an_interrupted_build_goes_on_with_the_part_that_is_missing(layout, tmp_path, capsys):
    calls = []

    class Dying(MeanEncoders):
        def text(self, captions):
            calls.append(captions)
            if captions == [""] and calls.count([""]) == 2:
                raise KeyboardInterrupt
            return super().text(captions)

    with pytest.raises(KeyboardInterrupt):
        built_in_parts(layout, tmp_path, encoders=Dying)
    assert [path.name for path in sorted(tmp_path.glob("part-*/vpdata_latents/1.0.0"))] == ["1.0.0"]
    with pytest.raises(UserError, match=r"has 1 of 3 parts, part 1 is missing: run the same `vp-jax latents` again"):
        LatentRecords(tmp_path)
    left = tmp_path / part_name(1, 3) / "vpdata_latents" / ".vp_jax-left" / "build"  # by a process that was killed
    left.mkdir(parents=True)
    (left / "dataset_info.json").write_text("{}")
    kept = next(tmp_path.rglob("*.array_record-*"))
    before = kept.stat().st_mtime_ns
    built_in_parts(layout, tmp_path)
    assert "1 of 3 parts are built already" in capsys.readouterr().out
    assert kept.stat().st_mtime_ns == before and len(LatentRecords(tmp_path)) == 8
    built_in_parts(layout, tmp_path)
    assert "3 of 3 parts are built already" in capsys.readouterr().out


@pytest.mark.slow
def test_parts_of_another_build_are_refused(layout, tmp_path):
    built_in_parts(layout, tmp_path)
    with pytest.raises(UserError, match=r"was made with vae one, not two: choose another folder"):
        built_in_parts(layout, tmp_path, {"vae": "two"})
    with pytest.raises(UserError, match=r"is none of 2 parts"):
        built_in_parts(layout, tmp_path, parts=2)
    for parts in (0, 9):
        with pytest.raises(UserError, match=rf"{parts} parts of 8 clips: expected 1 to 8"):
            built_in_parts(layout, tmp_path, parts=parts)
