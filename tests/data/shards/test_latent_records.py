"""Records of latent shards: what is packed, what damage does, several data sets in one folder."""

import functools
import shutil

import numpy as np
import pytest

from tests.data.shards.changed import changed
from tests.data.shards.encoders import LOADER, MeanEncoders, open_source
from vp_jax.data.records import BadRecord
from vp_jax.data.shards.latent_records import EMPTY_TEXT, LatentRecords, load_empty_text, pack_arrays
from vp_jax.data.shards.latents_tfds import LatentConfig, build_latents
from vp_jax.errors import UserError


def test_what_float16_holds_is_packed_and_integers_stay(tmp_path):
    file = tmp_path / "arrays.npz"
    file.write_bytes(pack_arrays({"mean": np.float32([0.1, 6e4]), "indices": np.arange(3)}))
    with np.load(file) as stored:
        assert stored["mean"].dtype == np.float16 and stored["indices"].tolist() == [0, 1, 2]
        np.testing.assert_allclose(stored["mean"], [0.1, 6e4], rtol=1e-3)


def test_values_beyond_float16_are_bad_records():
    with pytest.raises(BadRecord, match="clean_mean"):
        pack_arrays({"clean_mean": np.array([1e6], np.float32), "text": np.zeros(3, np.float32)})


def test_stored_bytes_that_are_damaged_are_bad_records(latent_shards):
    clip = LatentRecords(latent_shards)[0]
    clip.fields["arrays"] = clip.fields["arrays"][:300]
    with pytest.raises(BadRecord, match="stored arrays: cannot be read as a NumPy file"):
        clip.arrays()


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("clean_std", lambda x: None, "lack clean_std"),
        ("clean_mean", lambda x: x * np.nan, "clean_mean is not finite"),
        ("clean_mean", lambda x: x.astype(float) + 1e300, "clean_mean is not finite"),
        ("image_std", lambda x: -1 - x, "image_std is negative"),
        ("image_mean", lambda x: x[:0], "do not fit each other"),
        ("masked_mean", lambda x: x[..., :2], "do not fit each other"),
        ("mask", lambda x: x[0], "do not fit each other"),
        ("mask", lambda x: x + 1, "stored mask or indices"),
        ("indices", lambda x: x + 0.5, "stored mask or indices"),
        ("indices", lambda x: x - 100, "indices is negative"),
        ("text", lambda x: x[0], "do not fit each other"),
    ],
)
def test_odd_arrays_of_a_record_are_bad_records(latent_shards, name, change, message):
    clip = LatentRecords(latent_shards)[0]
    with pytest.raises(BadRecord, match=message):
        changed(clip, **{name: change(clip.arrays()[name])}).arrays()


@pytest.mark.parametrize("text", [np.zeros(4, np.float32), np.full((5, 4), np.nan, np.float32)])
def test_an_odd_embedding_of_the_empty_caption_is_refused(latent_shards, text, tmp_path):
    shutil.copytree(latent_shards, tmp_path / "shards")
    np.save(tmp_path / "shards" / EMPTY_TEXT, text)
    with pytest.raises(UserError, match="expected finite numbers of shape"):
        load_empty_text(tmp_path / "shards")


@pytest.mark.slow
def test_several_data_sets_are_one_if_they_are_of_one_vae(layout, tmp_path):
    cfg, opened = LatentConfig(LOADER, masks=1, images=1), functools.partial(open_source, layout)
    for name in ("a", "b"):
        build_latents(cfg, opened, MeanEncoders, tmp_path / name, made_with={"vae": "one"})
    assert len(LatentRecords(tmp_path)) == 16
    build_latents(cfg, opened, MeanEncoders, tmp_path / "c", made_with={"vae": "two"})
    with pytest.raises(UserError, match=r"a/.* and .*c/.* are latents of two VAEs"):
        LatentRecords(tmp_path)
