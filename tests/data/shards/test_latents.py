"""Latent shards with stand-in encoders: what is stored, what is sampled, both kinds of shard, the same stream rules."""

import functools
from dataclasses import replace

import numpy as np
import pytest

from vp_jax.data.clips import Resize
from vp_jax.data.pipeline import LoaderConfig, make_loader
from vp_jax.data.records import BadRecord
from vp_jax.data.shards.latents import LatentRecords, SampleLatents, load_empty_text, make_latent_loader, pack_arrays
from vp_jax.data.shards.latents_tfds import LatentConfig, build_latents, encode_window
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.errors import UserError
from vp_jax.models.latent_grid import masks_to_latent_grid

SCALE = 0.7
LOADER = LoaderConfig(batch_size=2, frames=9, height=32, width=48, threads=0, image_dropout=0.0)


class MeanEncoders:
    """A 'VAE' that picks one pixel per cell and frame group, with a constant deviation; a 'T5' that counts letters."""

    std = 0.25

    def video(self, pixels_BFHWC):
        mean_BThwC = pixels_BFHWC[:, ::4, ::8, ::8]
        return mean_BThwC, np.full_like(mean_BThwC, self.std)

    def text(self, captions):
        return np.array([np.full((5, 4), len(caption)) for caption in captions], np.float32)


def open_source(layout):
    return VPData.from_csv(layout / "train.csv", Layout.under(layout), frames=9)


@pytest.fixture(scope="module")
def shards(layout, tmp_path_factory):
    cfg, out = LatentConfig(LOADER, masks=3, images=2, windows=2), tmp_path_factory.mktemp("latents")
    return build_latents(cfg, functools.partial(open_source, layout), MeanEncoders, out)


@pytest.fixture(scope="module")
def clean_shards(layout, tmp_path_factory):
    cfg, out = LatentConfig(LOADER, masks=0, images=1), tmp_path_factory.mktemp("clean")
    return build_latents(cfg, functools.partial(open_source, layout), MeanEncoders, out)


def test_stored_posteriors_are_the_encoder_s(shards, layout):
    records = LatentRecords(shards)
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


def test_latents_are_sampled_anew_from_mean_and_deviation(shards):
    clip = LatentRecords(shards)[0]
    stored, sample = clip.arrays(), SampleLatents(SCALE, image_dropout=0.0)
    draws = np.stack([sample({"clip": clip}, np.random.default_rng(seed))["latents"] for seed in range(300)])
    scaled = SCALE * stored["clean_mean"].astype(np.float32)
    error = MeanEncoders.std * SCALE / np.sqrt(300)
    assert np.abs(draws.mean(0) - scaled).max() < 5 * error
    assert draws.std(0).mean() == pytest.approx(MeanEncoders.std * SCALE, rel=0.02)
    picked = {sample({"clip": clip}, np.random.default_rng(seed))["mask"].tobytes() for seed in range(40)}
    assert picked == {mask.astype(np.float32).tobytes() for mask in stored["mask"]}


def test_image_and_text_are_dropped_as_often_as_asked(shards):
    clip, empty = LatentRecords(shards)[0], load_empty_text(shards)
    assert (empty == 0).all() and empty.shape == (5, 4)
    sample = SampleLatents(SCALE, image_dropout=0.3, empty_caption=0.2, empty_text_ME=empty)
    draws = [sample({"clip": clip}, np.random.default_rng(seed)) for seed in range(500)]
    assert abs(sum(not d["image_latents"].any() for d in draws) - 150) < 4 * np.sqrt(500 * 0.21)
    assert abs(sum(d["caption"] == "" for d in draws) - 100) < 4 * np.sqrt(500 * 0.16)
    assert all((d["text"] == len(d["caption"])).all() for d in draws)
    assert all(not d["image_latents"][1:].any() for d in draws)
    with pytest.raises(UserError, match="empty_caption"):
        SampleLatents(SCALE, empty_caption=0.1)


def test_batches_and_resume(shards):
    loader = make_latent_loader(LatentRecords(shards), LOADER, SCALE)
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
    workers = make_latent_loader(LatentRecords(shards), replace(LOADER, workers=1), SCALE)
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


def test_the_wrong_kind_of_shard_is_a_user_error(shards, clean_shards, layout):
    with pytest.raises(UserError, match="clean latents only"):
        make_latent_loader(LatentRecords(clean_shards), LOADER, SCALE)
    with pytest.raises(UserError, match="pre-drawn masks already"):
        make_latent_loader(LatentRecords(shards), LOADER, SCALE, source=open_source(layout))


def test_values_beyond_float16_are_bad_records():
    with pytest.raises(BadRecord, match="clean_mean"):
        pack_arrays({"clean_mean": np.array([1e6], np.float32), "text": np.zeros(3, np.float32)})


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


class NoText(MeanEncoders):
    def text(self, captions):
        return None


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


def test_shards_of_another_size_are_refused(shards):
    with pytest.raises(UserError, match=r"latents of \(3, 4, 6\) .* \(9, 64, 48\) are \(3, 8, 6\)"):
        make_latent_loader(LatentRecords(shards), replace(LOADER, height=64), SCALE)


def test_what_was_built_before_is_kept_and_what_was_interrupted_is_removed(clean_shards, layout):
    cfg, opened = LatentConfig(LOADER, masks=0, images=1), functools.partial(open_source, layout)
    with pytest.raises(UserError, match="is built already: remove it"):
        build_latents(cfg, opened, MeanEncoders, clean_shards.parents[1])
    kept, rest = clean_shards.parent / "kept", clean_shards.parent / "incomplete.ABCDEF_1.0.0"
    clean_shards.rename(kept)
    rest.mkdir()
    assert build_latents(cfg, opened, NoText, clean_shards.parents[1]) == clean_shards and not rest.exists()


@pytest.mark.parametrize(
    "bad",
    [{"masks": -1}, {"images": 0}, {"loader": replace(LOADER, frames=10)}, {"loader": replace(LOADER, height=60)}],
)
def test_windows_that_cannot_be_encoded_are_refused(bad):
    with pytest.raises(UserError):
        LatentConfig(**bad)
