"""From the data settings to batches on the devices: sources by kind, tokenizers, shares of hosts, rows of devices."""

import dataclasses

import jax
import numpy as np
import pytest

from vp_jax import sharding
from vp_jax.data.batches import LatentBatch, PixelBatch
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.errors import UserError
from vp_jax.inference.named import find_model
from vp_jax.models.folder import CheckpointFolder
from vp_jax.runs.input_pipeline import (
    DATA_KINDS,
    CaptionIds,
    DataConfig,
    caption_ids,
    host_share,
    on_devices,
    open_loader,
    open_source,
)
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry
from vp_jax.world.synthetic import WordIds, World

NANO = find_model("nano").folder

TINY = ModelConfig(name="tiny", dtype="float32")
LOADER = LoaderConfig(batch_size=2, frames=9, height=32, width=48, threads=0, on_device=True)


def models(**changes):
    return registry.training_models(dataclasses.replace(TINY, **changes))


def test_the_drawn_world_is_a_source_with_its_own_settings():
    data = DataConfig(kind="synthetic", synthetic_clips=5, synthetic_first=7, synthetic_absent=0.5)
    assert open_source(data, LOADER) == World(5, 18, 32, 48, 7, 0.5)


@pytest.mark.parametrize("kind", [kind for kind in DATA_KINDS if kind not in ("synthetic", "latents")])
def test_sources_that_are_not_there_are_refused(kind, tmp_path):
    with pytest.raises(UserError, match=r"nowhere|rows\.csv"):
        open_source(DataConfig(kind=kind, path=str(tmp_path / "nowhere"), csv=str(tmp_path / "rows.csv")), LOADER)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"kind": "tape"}, "data.kind 'tape'"),
        ({"kind": "folder"}, "data.kind folder needs a folder"),
        ({"kind": "csv", "path": "x"}, "csv needs the file of rows"),
        ({"kind": "synthetic", "min_caption": -1}, "data.min_caption -1"),
        ({"kind": "synthetic", "synthetic_first": -1}, "data.synthetic_first -1"),
        ({"kind": "synthetic", "synthetic_clips": 0}, "data.synthetic_clips 0"),
        ({"kind": "synthetic", "synthetic_absent": 1.5}, "data.synthetic_absent 1.5"),
    ],
)
def test_impossible_data_settings_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        DataConfig(**changes)


def test_captions_are_words_without_a_text_encoder_and_tokens_with_one():
    assert caption_ids(models()) == WordIds(6)
    nano = models(checkpoint=str(NANO))
    assert caption_ids(nano) == CaptionIds(CheckpointFolder(NANO).vocabulary(), nano.text_len)
    ids_M = caption_ids(nano)("a red circle")
    assert ids_M.shape == (24,) and (ids_M[:3] > 2).all()
    assert caption_ids(nano).unused("a red circle") == ""
    assert "of 41 tokens do not fit" in caption_ids(nano).unused("red " * 40)
    with pytest.raises(UserError, match=r"the branch stage needs a vocabulary: give a model\.checkpoint"):
        caption_ids(models(name="nano"))


def test_latents_are_no_data_for_the_autoencoder(tmp_path):
    data = DataConfig(kind="latents", path=str(tmp_path))
    with pytest.raises(UserError, match="the vae stage learns from pixels"):
        open_loader(data, LOADER, models(stage="vae"), sharding.make_mesh({}, jax.devices()[:1]))


def test_what_latent_shards_were_built_with_cannot_be_asked_of_them_later(tmp_path):
    data, loader = DataConfig(kind="latents", path=str(tmp_path)), dataclasses.replace(LOADER, first_frame_dropout=0.3)
    with pytest.raises(
        UserError, match="first_frame_dropout: latent shards have first frames and masks as they were built"
    ):
        open_loader(data, loader, models(stage="branch"), sharding.make_mesh({}, jax.devices()[:1]))


def test_a_run_without_a_report_gets_one_and_prints_it(tmp_path, capsys):
    data, mesh = DataConfig(kind="synthetic", synthetic_clips=3), sharding.make_mesh({}, jax.devices()[:1])
    open_loader(data, LOADER, models(), mesh, tmp_path).close()
    assert capsys.readouterr().out.startswith("data     3 of 3 clips looked at, ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data_report.json", "data_report.png"]


def test_one_host_holds_the_whole_batch_and_must_be_able_to_divide_it():
    for sizes in ({"data": 2, "fsdp": 2}, {"fsdp": 2, "context": 2}):
        assert host_share(sharding.make_mesh(sizes, jax.devices()[:4]), 8) == (0, 1)
    with pytest.raises(UserError, match="expected a multiple of 4"):
        host_share(sharding.make_mesh({"data": 4}, jax.devices()[:4]), 6)


def test_a_loaded_batch_is_divided_by_examples_and_its_text_stays_behind():
    mesh = sharding.make_mesh({"data": 2, "context": 2}, jax.devices()[:4])
    loader = open_loader(DataConfig(kind="synthetic"), LOADER, models(), mesh)
    loaded = next(loader)
    batch = on_devices(loaded, mesh)
    assert isinstance(batch, PixelBatch) and batch.input_ids_BM.shape == (2, 6)
    assert batch.pixels_BFHWC.dtype == np.uint8
    np.testing.assert_array_equal(batch.pixels_BFHWC, loaded["pixels"])
    assert batch.mask_BThw is None
    for array in jax.tree.leaves(batch):
        assert {shard.data.shape[0] for shard in array.addressable_shards} == {1}
    latents = on_devices({"latents": np.ones((2, 1)), "image_latents": np.ones((2, 1)), "caption": ["a", "b"]}, mesh)
    assert isinstance(latents, LatentBatch) and len(jax.tree.leaves(latents)) == 2
