"""A dry run does everything once in a folder of its own, and leaves nothing behind."""

import pytest

from tests.test_configs import config_of
from tests.training.stages.toy import toy_models
from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.runs import dry_run as module
from vp_jax.runs.dry_run import shortened, try_run
from vp_jax.training.stages import registry


def test_settings_become_one_step_with_all_of_its_parts():
    config = config_of("gpu_h100").lock()
    config.validation.loss_every = 50
    short = shortened(config)
    assert (short.steps, short.log_every, short.checkpoints.every, short.boards) == (1, 1, 1, "")
    assert (short.validation.every, short.validation.loss_every, short.validation.steps) == (1, 1, 2)
    assert config.steps == 80_000 and config.validation.steps == 50, "the run's own settings stay"
    config.validation.update(every=0)
    assert shortened(config).validation.every == 0


@pytest.mark.parametrize("status", [0, 143])
def test_its_folder_is_removed_if_all_went_well(status, tmp_path, monkeypatch, capsys):
    def train(config, folder, *, export):
        assert not export and folder == tmp_path / "run.dry_run"
        folder.mkdir()
        return status

    monkeypatch.setattr(module, "train", train)
    assert try_run(config_of("tiny"), tmp_path / "run") == status
    assert (tmp_path / "run.dry_run").exists() == bool(status) and not (tmp_path / "run").exists()
    if status:
        with pytest.raises(UserError, match=r"run\.dry_run is there already"):
            try_run(config_of("tiny"), tmp_path / "run")
    else:
        assert capsys.readouterr().out.startswith("dry run: data, batch, step, validation and checkpoint are fine")


@pytest.mark.slow
def test_the_command_does_all_of_it(one_device, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(registry.STAGES, "toy", toy_models)
    argv = ["train", "--config", "tiny", "--workdir", str(tmp_path / "run"), "--dry_run"]
    changes = ("model.stage=toy", "loader.height=16", "loader.width=16", "loader.batch_size=1", "ema=true")
    changes += ("validation.every=5", "validation.clips=1")
    assert run([*argv, *(f"--config.{change}" for change in changes)]) == 0
    out = capsys.readouterr().out
    for text in ("clips looked at", "step 1/1  loss", "validation of step 1: loss", "vae ", "dry run: data"):
        assert text in out
    assert "model written" not in out and not list(tmp_path.iterdir())
