"""A new stage is a file and a line: one that the program has never seen trains, is validated and exported."""

import numpy as np
import pytest

from tests.test_configs import config_of
from tests.training.stages import toy
from vp_jax import checkpoint
from vp_jax.runs.train import train
from vp_jax.scalars import read_metrics
from vp_jax.training.stages import registry


@pytest.mark.slow
def test_a_new_stage_runs_through_the_whole_program(monkeypatch, one_device, tmp_path, capsys):
    monkeypatch.setitem(registry.STAGES, "toy", toy.toy_models)
    config = config_of("tiny")
    config.model.stage = "toy"
    config.steps, config.optimizer.warmup = 1, 0
    config.loader.update(height=16, width=16, batch_size=1)
    config.validation.update(every=1, clips=1)
    assert train(config, tmp_path) == 0
    loss, validated = read_metrics(tmp_path)
    assert loss["loss"] == loss["loss_whole"] > 0 and loss["loss_hole"] == 0, "it knows of no holes"
    assert np.isfinite(validated["val_psnr"]) and "val_hole_psnr" not in validated
    assert checkpoint.load_config(tmp_path / "export" / "toy")["kind"] == "lora"
    assert np.all(np.asarray(checkpoint.load_params(tmp_path / "export" / "toy")["bias"]) != 0), "it has learned"
    assert capsys.readouterr().out.startswith("toy: 0.0 M weights trained")


def test_stages_are_called_what_they_are():
    known = ["branch", "id_adapter", "vae", "backbone", "joint", "single_branch", "distill", "style_lora"]
    assert list(registry.STAGES) == known
