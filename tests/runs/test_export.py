"""Exports: complete models under the names of a checkpoint, without how the run computed; others stay."""

import dataclasses
import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import checkpoint
from vp_jax.diffusion.schedule import Schedule
from vp_jax.files import fresh_folder
from vp_jax.models.config import BranchConfig, VAEConfig
from vp_jax.models.folder import AUTOENCODER, BACKBONE, BRANCH, TEXT_ENCODER, CheckpointFolder
from vp_jax.models.variants import variant
from vp_jax.runs.export import export_models, plain_description, what_lacks
from vp_jax.training.encode import Encoders
from vp_jax.training.models import TrainingModels

VAE = VAEConfig(channels=(4, 4, 4, 4), groups=2)


@dataclasses.dataclass(frozen=True)
class Exporting:
    """The part of a stage that an export asks."""

    vae: VAEConfig = VAE

    companions = ("transformer", "tokenizer", "text_encoder")
    samples_alone = True

    def calibrated(self, trainable, batches):
        return dataclasses.replace(self, vae=dataclasses.replace(self.vae, scaling_factor=float(sum(batches))))

    def exports(self, trainable, frozen):
        return {"vae": (self.vae, {**trainable, **frozen})}

    def write_extras(self, folder, schedule):
        checkpoint.save_config(folder / "scheduler", {"kind": "scheduler", "snr_shift": schedule.snr_shift})


def models(stage):
    return TrainingModels(stage, Encoders(None, None, 8), Schedule(snr_shift=2.0), 8, False, None)


def test_an_export_is_what_the_stage_says_with_what_it_measured(tmp_path):
    trainable, frozen = {"a": jnp.full(3, 0.5, jnp.bfloat16)}, {"b": jnp.ones(2)}
    out = export_models(tmp_path / "export", models(Exporting()), trainable, frozen, iter([0.25, 0.5]))
    assert out == tmp_path / "export" and [path.name for path in tmp_path.iterdir()] == ["export"]
    found = CheckpointFolder(out).describe(AUTOENCODER)
    assert found == dataclasses.replace(VAE, scaling_factor=0.75)
    weights = checkpoint.load_params(out / "vae")
    assert jax.tree.map(lambda leaf: str(leaf.dtype), weights) == {"a": "float32", "b": "float32"}
    np.testing.assert_array_equal(weights["a"], np.full(3, 0.5))
    assert CheckpointFolder(out).schedule() == Schedule(snr_shift=2.0)


def test_parts_of_the_same_name_are_replaced_and_others_stay(tmp_path):
    (tmp_path / "export" / "branch").mkdir(parents=True)
    fresh_folder(tmp_path / ".export.vp_jax-new")  # a run was killed here
    (tmp_path / ".export.vp_jax-new" / "rest").mkdir()
    for value in (1.0, 2.0):
        export_models(tmp_path / "export", models(Exporting()), {"a": jnp.full(1, value)}, {}, [1.0])
    assert float(checkpoint.load_params(tmp_path / "export" / "vae")["a"][0]) == 2.0
    assert (tmp_path / "export" / "branch").is_dir() and not (tmp_path / "export" / "rest").exists()


def test_frozen_parts_are_read_from_the_checkpoint_of_the_run(tmp_path):
    """Also from a copy of the export, and from the export of the export of a run."""
    for name in ("transformer", "tokenizer", "branch", "vae"):
        (tmp_path / "weights" / name).mkdir(parents=True)
    source = CheckpointFolder(tmp_path / "weights")
    first = export_models(tmp_path / "first" / "export", models(Exporting()), {"a": jnp.ones(1)}, {}, [1.0], source)
    again = CheckpointFolder(first)
    second = export_models(tmp_path / "second" / "export", models(Exporting()), {"a": jnp.ones(1)}, {}, [1.0], again)
    copied = shutil.copytree(second, tmp_path / "copy")
    for folder in (first, second, copied):
        found = CheckpointFolder(folder)
        assert found.of(BACKBONE) == tmp_path / "weights" / "transformer" and found.of(AUTOENCODER) == folder / "vae"
        assert found.vocabulary().parent == tmp_path / "weights" / "tokenizer"
        assert not found.has(TEXT_ENCODER) and not found.has(BRANCH) and found.samples_alone()
        assert what_lacks(folder) == ""


def test_parts_that_no_checkpoint_gave_are_named_with_the_flag(tmp_path):
    out = export_models(tmp_path / "export", models(Exporting()), {"a": jnp.ones(1)}, {}, [1.0])
    assert re.match(r"; sampling also needs transformer, .*--config\.model\.checkpoint=\S+export", what_lacks(out))


@pytest.mark.parametrize("kind", ["vae", "branch"])
def test_how_a_run_computed_is_no_part_of_a_description(kind, tmp_path):
    changes = {"dtype": "bfloat16", "param_dtype": "bfloat16"}
    dit = dataclasses.replace(variant("tiny").branch.dit, **changes, attention="splash", remat="dots_saveable")
    description = BranchConfig(dit) if kind == "branch" else dataclasses.replace(VAE, **changes)
    (tmp_path / kind).mkdir()
    (tmp_path / kind / "config.json").write_text(json.dumps(plain_description(description)))
    part = BRANCH if kind == "branch" else AUTOENCODER
    want = variant("tiny").branch if kind == "branch" else VAE
    assert CheckpointFolder(tmp_path).describe(part) == want
