"""Validation: what is compared with what, which numbers stand beside which, pictures, videos, and when it is due."""

import jax.numpy as jnp
import numpy as np
from PIL import Image

from tests.test_configs import config_of
from vp_jax.runs.run_config import RunConfig
from vp_jax.runs.validation import HeldOut, Validator, save_pictures, to_samples
from vp_jax.runs.validation_rows import scores
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


def test_the_original_are_the_pixels_where_the_data_has_them():
    pixels = np.full((2, 5, 16, 24, 3), 7, np.uint8)
    samples = to_samples(sampled(), pixels)
    np.testing.assert_array_equal(samples.original, pixels)
    np.testing.assert_array_equal(samples.result, to_samples(sampled()).result)


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
        self.pictures, self.videos, self.lines = [], [], []

    def picture(self, step, name, image_HWC):
        self.pictures.append((step, name, image_HWC.shape[-1]))

    def video(self, step, name, file):
        self.videos.append((step, name, file.relative_to(file.parent.parent).as_posix()))

    def write(self, step, values):
        self.lines.append((step, values))


PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 16, 24, 3), np.uint8)
CLIPS = HeldOut(["a", "b"], PIXELS, np.zeros((2, 5, 16, 24), np.uint8))


def loss_of(weights, frozen):
    return {"val_loss": len(weights), "val_loss_t050": 2.0}


def make(folder, writer, clips=CLIPS, every=4, loss_every=2):
    seen = []

    def sample(trainable, frozen):
        seen.append((trainable, frozen))
        return sampled()

    return seen, Validator(every, sample, clips, folder, writer, loss=loss_of, loss_every=loss_every)


def test_losses_and_samples_are_due_apart_and_all_of_it_at_the_end(tmp_path):
    writer = Writer()
    seen, validator = make(tmp_path, writer)
    assert [step for step in range(1, 9) if validator.due(step)] == [2, 4, 6, 8]
    validator.run(2, {"": "average"}, "frozen")
    assert seen == [] and writer.lines == [(2, {"val_loss": 7, "val_loss_t050": 2.0})] and not writer.pictures
    validator.run(4, {"": "average"}, "frozen")
    validator.run(5, {"": "average"}, "frozen", last=True)
    assert seen == 2 * [("average", "frozen")]
    assert {"val_loss", "val_hole_psnr"} <= set(writer.lines[1][1]) == set(writer.lines[2][1])


def test_numbers_stand_beside_those_of_the_raw_weights_and_of_fillings_without_a_model(tmp_path, capsys):
    writer = Writer()
    seen, validator = make(tmp_path, writer)
    validator.run(4, {"": "average", "raw": "weights"}, "frozen")
    assert seen == [("average", "frozen"), ("weights", "frozen")]
    assert writer.pictures == [(4, "sample_0", 3), (4, "sample_1", 3)]
    assert writer.videos == [(4, "video_0", "videos/00000004_0.mp4"), (4, "video_1", "videos/00000004_1.mp4")]
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == ["00000004_0.mp4", "00000004_1.mp4"]
    ((step, values),) = writer.lines
    ends = ("", "_raw", "_vae", "_diffusion", "_stretched_frame")
    wanted = {f"val_{score}{end}" for score in scores(to_samples(sampled())) for end in ends}
    losses = {"val_loss", "val_loss_t050", "val_loss_raw", "val_loss_t050_raw"}
    assert step == 4 and set(values) == wanted | losses
    assert values["val_hole_psnr"] < 15, "the pixels are noise, the samples are grey"
    line = capsys.readouterr().out
    assert line.startswith("validation of step 4: loss 7, 7 raw; hole ") and "stretched frame" in line


def test_data_without_pixels_is_named_as_what_it_is(tmp_path, capsys):
    writer = Writer()
    _, validator = make(tmp_path, writer, HeldOut(["a", "b"]))
    validator.run(4, {"": "average"}, "frozen")
    names = {name for name in writer.lines[0][1] if "loss" not in name}
    assert names and all(name.startswith("val_decoded_") for name in names)
    assert "against the autoencoder's decoding" in capsys.readouterr().out


def test_hosts_that_write_nothing_compute_all_the_same(tmp_path):
    seen, validator = make(tmp_path, None)
    validator.run(4, {"": "average"}, "frozen")
    assert seen == [("average", "frozen")] and not list(tmp_path.iterdir())


def test_a_run_without_validation_reads_no_data_for_it(tmp_path):
    config = config_of("tiny")
    config.validation.every = 0
    assert Validator.prepare(RunConfig.read(config, tmp_path), None, {}, None, tmp_path, None) is None
