"""Validation: holes of the latent grid, PSNR in and outside of them, pictures, and when it is due."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tests.test_configs import config_of
from vp_jax.runs.run_config import RunConfig
from vp_jax.runs.validation import Samples, Validator, clip_psnr, hole_psnr, save_pictures, to_samples
from vp_jax.training.stages.stage import Sampled


def sampled(mask=True):
    """Two clips of 5 frames, grey; the second result is 0.2 brighter."""
    clean = jnp.zeros((2, 5, 16, 24, 3))
    latent = jnp.zeros((2, 2, 2, 3)).at[:, 1, 0, 1].set(1.0)
    return Sampled(clean, clean.at[1].add(0.2), latent if mask else None)


def test_the_hole_is_that_of_the_latent_grid():
    samples = to_samples(sampled())
    assert samples.original.dtype == np.uint8 and samples.holes.shape == (2, 5, 16, 24)
    want = np.zeros((5, 16, 24), bool)
    want[1:, :8, 8:16] = True
    np.testing.assert_array_equal(samples.holes[0], want)
    assert not to_samples(sampled(mask=False)).holes.any()


def test_psnr_counts_the_hole_alone_or_the_whole_clip():
    original = np.full((1, 1, 8, 8, 3), 100, np.uint8)
    holes = np.zeros((1, 1, 8, 8), bool)
    holes[..., :2] = True
    result = original.copy()
    result[..., :2, :] += 51  # a fifth of the range in a quarter of the pixels
    samples = Samples(original, holes, result)
    assert hole_psnr(samples) == pytest.approx(-20 * np.log10(0.2), rel=1e-6)
    assert clip_psnr(samples) == pytest.approx(-10 * np.log10(0.25 * 0.2**2), rel=1e-6)
    assert np.isnan(hole_psnr(samples._replace(holes=np.zeros_like(holes))))


def test_one_picture_per_example(tmp_path):
    sheets = save_pictures(to_samples(sampled()), ["a red circle", "a blue square"], tmp_path / "pictures", 12)
    files = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert files == ["00000012_0.png", "00000012_1.png"]
    for name, sheet in zip(files, sheets):
        with Image.open(tmp_path / "pictures" / name) as picture:
            np.testing.assert_array_equal(np.asarray(picture), sheet)
    assert not np.array_equal(*sheets)


class Writer:
    def __init__(self):
        self.pictures, self.lines = [], []

    def picture(self, step, name, image_HWC):
        self.pictures.append((step, name, image_HWC.shape[-1]))

    def write(self, step, values):
        self.lines.append((step, values))


def test_pictures_and_numbers_are_written_of_the_weights_that_it_is_given(tmp_path):
    writer, seen = Writer(), []

    def sample(trainable, frozen):
        seen.append((trainable, frozen))
        return sampled()

    validator = Validator(3, sample, ["a", "b"], tmp_path, writer)
    assert [step for step in range(1, 8) if validator.due(step)] == [3, 6]
    validator.run(6, "weights", "frozen")
    assert seen == [("weights", "frozen")]
    assert writer.pictures == [(6, "sample_0", 3), (6, "sample_1", 3)]
    ((step, values),) = writer.lines
    assert step == 6 and set(values) == {"val_hole_psnr", "val_psnr"}


def test_hosts_that_write_nothing_sample_all_the_same(tmp_path):
    seen = []

    def sample(trainable, frozen):
        seen.append(trainable)
        return sampled()

    Validator(1, sample, ["a", "b"], tmp_path / "pictures", None).run(1, "weights", None)
    assert seen == ["weights"] and not (tmp_path / "pictures").exists()


def test_a_run_without_validation_reads_no_data_for_it(tmp_path):
    config = config_of("tiny")
    config.validation.every = 0
    assert Validator.prepare(RunConfig.read(config, tmp_path), None, {}, None, tmp_path, None) is None
