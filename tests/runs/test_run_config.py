"""Settings of a run as checked descriptions: each value arrives where it is used; validation has its own data."""

import dataclasses
import json

import pytest

from tests.test_configs import config_of
from vp_jax.errors import UserError
from vp_jax.inference.settings import Settings
from vp_jax.runs.run_config import CheckpointConfig, RunConfig, ValidationConfig, changes
from vp_jax.world.synthetic import HELD_OUT


@pytest.fixture
def config():
    return config_of("tiny")


def test_groups_become_the_descriptions_they_are_for(config, tmp_path):
    config.update_from_flattened_dict(
        {"model.rank": 3, "data.synthetic_clips": 5, "loader.fps": 6.0, "augment.kernel": 9, "optimizer.b1": 0.5}
    )
    config.update_from_flattened_dict({"step.hole_weight": 2.0, "checkpoints.keep": 7, "seed": 11, "ema": True})
    run = RunConfig.read(config, tmp_path)
    assert (run.model.rank, run.data.synthetic_clips, run.loader.fps, run.optimizer.b1) == (3, 5, 6.0, 0.5)
    assert (run.loader.augment.kernel, run.step.hole_weight, run.checkpoints) == (9, 2.0, CheckpointConfig(5, 7))
    assert (run.loader.seed, run.loader.on_device, run.loader.journal) == (11, True, tmp_path / "data.jsonl")
    assert run.ema and run.steps == 20 and run.log_every == 1 and dict(run.mesh)["fsdp"] == 1
    assert json.loads(json.dumps(run.values)) == json.loads(config.to_json())


def test_the_sampler_of_validation_has_the_settings_of_its_group(config, tmp_path):
    config.seed = 3
    config.validation.update(every=7, loss_every=2, steps=5, guidance=2.5, clips=4, frames=13)
    held = RunConfig.read(config, tmp_path).validation
    assert held == ValidationConfig(7, 2, 4, "", "", "", "", Settings(steps=5, guidance=2.5, window=13, seed=3))


def test_held_out_clips_are_others_than_those_trained_on(config, tmp_path):
    config.validation.update(clips=3, frames=5)
    config.loader.update(workers=2, image_dropout=0.5)
    run = RunConfig.read(config, tmp_path)
    data, loader = run.held_out()
    assert data == dataclasses.replace(run.data, synthetic_first=HELD_OUT)
    assert (loader.batch_size, loader.frames, loader.workers, loader.image_dropout) == (3, 5, 0, 0.0)
    assert loader.seed == run.seed + 1 and loader.height == run.loader.height


@pytest.mark.parametrize(
    "name, value", [("kind", "davis"), ("path", "elsewhere"), ("csv", "held.csv"), ("split", "val")]
)
def test_other_data_of_validation_replace_what_they_name(config, tmp_path, name, value):
    config.data.update(kind="csv", path="here", csv="rows.csv")
    plain, _ = RunConfig.read(config, tmp_path).held_out()
    config.validation[name] = value
    data, _ = RunConfig.read(config, tmp_path).held_out()
    assert data == dataclasses.replace(plain, **{name: value}) and plain.synthetic_first == 0


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps": 0}, "steps 0"),
        ({"log_every": -1}, "log_every -1"),
        ({"checkpoints.every": -1}, "checkpoints.every -1"),
        ({"checkpoints.keep": 0}, "checkpoints.keep 0"),
        ({"validation.every": -1}, "validation.every -1"),
        ({"validation.loss_every": -1}, "validation.loss_every -1"),
        ({"boards": "tensorboard,mlflow"}, "boards 'mlflow': expected tensorboard, wandb"),
        ({"validation.clips": 0}, "validation.clips 0"),
        ({"validation.guidance": -1.0}, "guidance -1"),
    ],
)
def test_numbers_out_of_range_are_named(config, changes, message, tmp_path):
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message):
        RunConfig.read(config, tmp_path)


def test_changed_settings_are_listed_by_name():
    before, now = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1, "c": 4}, "e": 5}
    assert changes(before, now) == ["a.c 2 -> 4", "d 3 -> None", "e None -> 5"]
