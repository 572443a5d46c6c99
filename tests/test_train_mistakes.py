"""Mistakes in the settings and the command line of train.py: one line each, before anything is loaded or written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.test_configs import config_of
from vp_jax import checkpoint
from vp_jax.errors import UserError
from vp_jax.models import config as model_config
from vp_jax.runs.train import train
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model.stage": "both"}, "stage 'both'"),
        ({"model.name": "huge"}, "model 'huge'"),
        ({"model.remat": "everything"}, "remat 'everything'"),
        ({"data.kind": "tape"}, "data.kind 'tape'"),
        ({"model.checkpoint": "/nowhere"}, "no config.json in /nowhere"),
        ({"mesh.fsdp": 3}, "mesh data=1, fsdp=3"),
        ({"optimizer.name": "sgd"}, "optimizer 'sgd'"),
        ({"step.accumulate": 0}, "accumulate 0"),
        ({"data.kind": "folder", "data.path": "/nowhere"}, "/nowhere is not a folder"),
        ({"validation.frames": 10}, "window 10"),
        ({"distributed": "yes"}, "distributed 'yes'"),
        ({"distributed": "auto"}, "no TPU pod or cluster"),
        ({"steps": 0}, "steps 0"),
        ({"log_every": -1}, "log_every -1"),
        ({"checkpoints.keep": 0}, "checkpoints.keep 0"),
        ({"validation.every": -1}, "validation.every -1"),
        ({"model.branch_layers": -1}, "branch_layers -1"),
        ({"model.branch_layers": 99}, "branch_layers 99: .* at most 4"),
        ({"model.rank": 0}, "rank 0"),
        ({"model.alpha": 0.0}, "alpha 0.0"),
        ({"model.kl_weight": -1.0}, "kl_weight -1"),
        ({"model.stage": "vae", "model.vae_crop": (320, 480)}, r"vae_crop \(320, 480\) of 64 x 96"),
        ({"model.stage": "vae", "model.vae_crop": (32, 47)}, "multiples of 8"),
        ({"model.vae_crop": (3,)}, "vae_crop"),
        ({"data.synthetic_clips": -4}, "synthetic_clips -4"),
        ({"data.synthetic_absent": 2.0}, "synthetic_absent 2.0"),
        ({"loader.batch_size": 0}, "batch_size 0"),
        ({"loader.batch_size": 2**40}, "batch_size 1099511627776: expected 1 to 65536"),
        ({"loader.height": 2**20}, "height 1048576: expected 1 to 8192"),
        ({"loader.prefetch": 10**9}, "prefetch 1000000000: expected 0 to 1024"),
        ({"loader.frames": 10}, "frames 10: expected 1, 5"),
        ({"loader.fps": 0.0}, "fps 0.0: expected above 0"),
        ({"loader.height": 60}, "height 60: .* multiple of 16"),
        ({"loader.width": -64}, "width -64"),
        ({"loader.resize": "fit"}, "resize 'fit': expected stretch or center"),
        ({"loader.empty_caption": 2.0}, "empty_caption 2.0: expected 0 to 1"),
        ({"loader.workers": -1}, "workers -1"),
        ({"loader.image_log_sigma": (1.0,)}, "image_log_sigma"),
        ({"loader.image_log_sigma": (1.0, -2.0)}, "deviation"),
        ({"augment.probability": 3.0}, "probability 3.0"),
        ({"augment.p_brush": 0.9}, "a sum of 1"),
        ({"augment.kernel": 0}, "kernel 0"),
        ({"augment.scale_min": 2.0}, "scale_max 1.5: expected 2.0 or more"),
        ({"optimizer.lr": float("inf")}, "lr inf"),
        ({"optimizer.b1": 1.0}, "b1 1.0"),
        ({"optimizer.eps": -1.0}, "eps -1"),
        ({"step.hole_weight": -5.0}, "hole_weight -5"),
        ({"step.timestep_shift": 0.0}, "timestep_shift 0.0: expected above 0"),
        ({"step.min_snr": -1.0}, "min_snr -1"),
        ({"loader.first_frame_dropout": 1.5}, "first_frame_dropout 1.5: expected 0 to 1"),
        ({"model.stage": "vae", "step.min_snr": 5.0}, "the vae stage has no timesteps"),
        ({"boards": "paper"}, "boards 'paper': expected tensorboard, wandb"),
        ({"validation.loss_every": -1}, "validation.loss_every -1"),
        ({"distributed": "localhost:8080,2,5"}, "INDEX from 0"),
        ({"distributed": "localhost:port,1,0"}, "HOST:PORT"),
    ],
)
def test_impossible_settings_are_one_line(changes, message, one_device, tmp_path):
    config = config_of("tiny")
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message):
        train(config, tmp_path)


@pytest.mark.parametrize("stage, wanted", [("branch", "branch"), ("id_adapter", "lora"), ("vae", "vae")])
def test_another_model_to_continue_from_is_named(stage, wanted, tmp_path):
    config = config_of("tiny")
    config.model.update(stage=stage, init_from=str(tmp_path))
    (tmp_path / "config.json").write_text('{"kind": "dit"}')
    with pytest.raises(UserError, match=f"holds a model of kind dit, not {wanted}"):
        registry.training_models(ModelConfig(**config.model))


def test_a_context_encoder_continues_with_its_own_layers(tmp_path):
    described = registry.training_models(ModelConfig(name="tiny", dtype="float32", branch_layers=1))
    checkpoint.save_params(tmp_path, {"a": np.zeros(1, np.float32)}, model_config.to_json(described.stage.branch))
    again = registry.training_models(ModelConfig(name="tiny", dtype="float32", init_from=str(tmp_path)))
    assert again.stage.branch.dit.num_layers == 1


def test_a_folder_that_no_run_can_continue_is_left_alone(one_device, tmp_path):
    with pytest.raises(UserError, match="nothing to export: no checkpoint in"):
        train(config_of("tiny"), tmp_path, export_only=True)
    (tmp_path / "export" / "branch").mkdir(parents=True)
    with pytest.raises(UserError, match="an export but no checkpoint"):
        train(config_of("tiny"), tmp_path)
    (tmp_path / "export" / "branch" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="that no run"):
        train(config_of("tiny"), tmp_path / "export" / "branch")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--config", "configs/none.py"], "none.py"),
        (["--config", "configs/tiny.py", "--config.foo=1"], "no setting 'foo'"),
        (["--config", "configs/tiny.py", "--config.steps=many"], "steps=many"),
        (["--stpes=3"], "stpes"),
        (["--config", "configs/id_adapter.py"], "name after a colon"),
        ([], "give --config"),
        (["--config", "configs/nano_autoencoder.py:wrong"], "one of squared, sharp"),
        (["--config", "configs/tiny.py"], "give --config .* and --workdir"),
        (["--config", "configs/tiny.py", "--workdir", ""], "give --config .* and --workdir"),
        (["--config", "configs/tiny.py", "--compile_only", ""], "compile_only ''"),
        (["--config", "configs/tiny.py:name"], "takes no name"),
        (["--config", "README.md"], "README.md: .*get_config"),
        (["--config", "configs/common.py"], "get_config"),
        (["--config", "configs/tiny.py", "--workdir", "x", "extra"], "unexpected arguments"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line(arguments, message):
    done = subprocess.run(
        [sys.executable, "train.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("error: ")
    assert re.search(message, done.stderr), done.stderr
