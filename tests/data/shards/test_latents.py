"""Latent shards, reading: what is sampled, both kinds of shard, the same rules of the stream as for pixels."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from tests.data.shards.changed import changed
from tests.data.shards.encoders import LOADER, SCALE, MeanEncoders, NoText, open_source
from vp_jax.data.records import BadRecord
from vp_jax.data.shards.latent_records import LatentRecords, load_empty_text
from vp_jax.data.shards.latents import SampleLatents, make_latent_loader, mask_pixels
from vp_jax.data.shards.latents_tfds import LatentConfig, build_latents
from vp_jax.errors import UserError
from vp_jax.models.latent_grid import masks_to_latent_grid


def test_latents_are_sampled_anew_from_mean_and_deviation(latent_shards):
    clip = LatentRecords(latent_shards)[0]
    stored, sample = clip.arrays(), SampleLatents(SCALE, image_dropout=0.0)
    draws = np.stack([sample({"clip": clip}, np.random.default_rng(seed))["latents"] for seed in range(300)])
    scaled = SCALE * stored["clean_mean"].astype(np.float32)
    error = MeanEncoders.std * SCALE / np.sqrt(300)
    assert np.abs(draws.mean(0) - scaled).max() < 5 * error
    assert draws.std(0).mean() == pytest.approx(MeanEncoders.std * SCALE, rel=0.02)
    picked = {sample({"clip": clip}, np.random.default_rng(seed))["mask"].tobytes() for seed in range(40)}
    assert picked == {mask.astype(np.float32).tobytes() for mask in stored["mask"]}


def test_image_and_text_are_dropped_as_often_as_asked(latent_shards):
    clip, empty = LatentRecords(latent_shards)[0], load_empty_text(latent_shards)
    assert (empty == 0).all() and empty.shape == (5, 4)
    sample = SampleLatents(SCALE, image_dropout=0.3, empty_caption=0.2, empty_text_ME=empty)
    draws = [sample({"clip": clip}, np.random.default_rng(seed)) for seed in range(500)]
    assert abs(sum(not d["image_latents"].any() for d in draws) - 150) < 4 * np.sqrt(500 * 0.21)
    assert abs(sum(d["caption"] == "" for d in draws) - 100) < 4 * np.sqrt(500 * 0.16)
    assert all((d["text"] == len(d["caption"])).all() for d in draws)
    assert all(not d["image_latents"][1:].any() for d in draws)
    with pytest.raises(UserError, match="empty_caption"):
        SampleLatents(SCALE, empty_caption=0.1)


@pytest.mark.slow
def test_batches_and_resume(latent_shards):
    loader = make_latent_loader(LatentRecords(latent_shards), LOADER, SCALE)
    batches = [next(loader) for _ in range(3)]
    shapes = {key: value.shape for key, value in batches[0].items() if value.dtype.kind == "f"}
    assert shapes == {
        "latents": (2, 3, 4, 6, 3),
        "masked_latents": (2, 3, 4, 6, 3),
        "image_latents": (2, 3, 4, 6, 3),
        "mask": (2, 3, 4, 6),
        "text": (2, 5, 4),
    }
    assert all(value.dtype == np.float32 for value in batches[0].values() if value.dtype.kind == "f")
    workers = make_latent_loader(LatentRecords(latent_shards), replace(LOADER, workers=1), SCALE)
    workers.set_state({"step": 2})
    for key, value in next(workers).items():
        np.testing.assert_array_equal(value, batches[2][key])
    workers.close()


def test_clean_shards_go_with_fresh_masks_of_the_same_window(clean_shards, layout):
    source = open_source(layout)
    loader = make_latent_loader(LatentRecords(clean_shards), LOADER, SCALE, source=source)
    batch = next(loader)
    assert "masked_latents" not in batch and "mask" not in batch
    assert batch["masked_BFHWC"].shape == (2, 9, 32, 48, 3) and batch["masks_BFHW"].shape == (2, 9, 32, 48)
    hole = masks_to_latent_grid(batch["masks_BFHW"].astype(np.uint8)) == 1
    seen = batch["masked_BFHWC"][:, ::4, ::8, ::8]
    frames = [0, 2]  # groups whose first frame also stands for their mask
    difference = np.abs(batch["latents"][:, frames] / SCALE - seen[:, frames])[~hole[:, frames]]
    assert difference.mean() < 1.0 * MeanEncoders.std  # |N(0, std)| has mean 0.8 std: the same pixels
    assert hole[:, 1:].any() and not hole[:, 0].any()
    again = [next(loader) for _ in range(12)]
    masks = {other["masks_BFHW"][0].tobytes() for other in again if other["id"][0] == batch["id"][0]}
    assert len(masks | {batch["masks_BFHW"][0].tobytes()}) > 1


def test_the_wrong_kind_of_shard_is_a_user_error(latent_shards, clean_shards, layout):
    with pytest.raises(UserError, match="clean latents only"):
        make_latent_loader(LatentRecords(clean_shards), LOADER, SCALE)
    with pytest.raises(UserError, match="pre-drawn masks already"):
        make_latent_loader(LatentRecords(latent_shards), LOADER, SCALE, source=open_source(layout))


def test_shards_without_embeddings_give_token_ids(layout, tmp_path):
    cfg, opened = LatentConfig(LOADER, masks=0, images=1), functools.partial(open_source, layout)
    folder = build_latents(cfg, opened, NoText, tmp_path)
    assert load_empty_text(folder) is None and "text" not in LatentRecords(folder)[0].arrays()
    dropping = replace(LOADER, empty_caption=0.5)
    loader = make_latent_loader(
        LatentRecords(folder), dropping, SCALE, masked=False, tokenizer=lambda caption: np.full(4, len(caption))
    )
    lengths = set()
    for _ in range(8):
        batch = next(loader)
        assert "text" not in batch and "masked_latents" not in batch
        assert batch["latents"].shape == (2, 3, 4, 6, 3)
        np.testing.assert_array_equal(batch["input_ids"][:, 0], [len(caption) for caption in batch["caption"]])
        lengths |= set(batch["input_ids"][:, 0].tolist())
    assert 0 in lengths and len(lengths) > 1


def test_shards_of_another_size_are_refused(latent_shards):
    with pytest.raises(UserError, match=r"latents of \(3, 4, 6\) .* \(9, 64, 48\) are \(3, 8, 6\)"):
        make_latent_loader(LatentRecords(latent_shards), replace(LOADER, height=64), SCALE)


def test_a_recipe_with_a_tokenizer_draws_the_same_masks_as_one_without(clean_shards, layout):
    def first(**more):
        return next(make_latent_loader(LatentRecords(clean_shards), LOADER, SCALE, source=open_source(layout), **more))

    plain, tokens = first(), first(tokenizer=lambda caption: np.zeros(3))
    assert set(tokens) - set(plain) == {"input_ids"}
    for name in plain:
        np.testing.assert_array_equal(tokens[name], plain[name], err_msg=name)


def test_masks_are_drawn_by_the_settings_of_the_loader(clean_shards, layout):
    """On clean shards: the first frame's hole, and the cells that are generated, as for pixels."""
    source = open_source(layout)

    def masks(**changes):
        batch = next(make_latent_loader(LatentRecords(clean_shards), replace(LOADER, **changes), SCALE, source=source))
        return batch["masks_BFHW"], batch["masked_BFHWC"], batch.get("mask")

    plain, masked, none = masks()
    assert not plain[:, 0].any() and (masked[plain == 1] == -1).all() and none is None
    open_first, _, _ = masks(show_first_frame=False)
    assert open_first[:, 0].any() and (open_first[:, 1:] == plain[:, 1:]).all()
    same, _, covered = masks(cover_cells=True)
    touched = plain.reshape(2, 9, 4, 8, 6, 8).max((3, 5))
    np.testing.assert_array_equal(same, plain)
    np.testing.assert_array_equal(
        covered, np.stack([touched[:, k].max(1) for k in (range(1), range(1, 5), range(5, 9))], 1)
    )


def test_a_record_of_other_shapes_than_the_first_is_a_bad_record(latent_shards):
    clip = LatentRecords(latent_shards)[0]
    shapes = {name: array.shape for name, array in clip.arrays().items()}
    sample = SampleLatents(SCALE, shapes=shapes)
    assert sample({"clip": clip}, np.random.default_rng(0))["latents"].shape == (3, 4, 6, 3)
    with pytest.raises(BadRecord, match="stored text: other shapes than in the first record"):
        sample({"clip": changed(clip, text=np.zeros((7, 4)))}, np.random.default_rng(0))


def test_a_window_of_another_source_is_a_bad_record(clean_shards, layout):
    """Names of clips tell: shards of train.csv do not go with the second half of it."""
    whole = open_source(layout)
    half = [whole[i] for i in range(4, 8)]
    cfg = replace(LOADER, max_bad_rate=1.0)
    loader = make_latent_loader(LatentRecords(clean_shards), cfg, SCALE, source=half)
    found = {str(name).split("/")[0] for _ in range(4) for name in next(loader)["id"]}
    assert found <= {clip.id for clip in half}
    nothing = make_latent_loader(LatentRecords(clean_shards), cfg, SCALE, source=[Renamed()])
    with pytest.raises(UserError, match="64 records in a row could not be used"):
        next(nothing)


class Renamed:
    id = "of another data set"


def test_pixels_become_masked_video_and_latents_stay():
    pixels, masks = np.full((1, 2, 3, 4, 3), 255, np.uint8), np.zeros((1, 2, 3, 4), np.uint8)
    masks[:, :, 1] = 1
    got = mask_pixels({"latents": 1, "pixels": pixels, "masks": masks})
    assert set(got) == {"latents", "masked_BFHWC", "masks_BFHW"}
    assert (got["masked_BFHWC"][:, :, 1] == -1).all() and (got["masked_BFHWC"][:, :, [0, 2]] == 1).all()
    alone = {"latents": 1}
    assert mask_pixels(alone) is alone


def test_an_embedding_of_the_empty_caption_of_another_size_is_refused(latent_shards):
    with pytest.raises(UserError, match="the empty caption is embedded as"):
        make_latent_loader(LatentRecords(latent_shards), LOADER, SCALE, empty_text_ME=np.zeros((6, 4), np.float32))
