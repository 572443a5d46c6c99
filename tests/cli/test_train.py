"""``vp-jax train`` and its like: mistakes before JAX is imported, settings handed on."""

import re
import sys

import pytest

from tests.cli.test_main import program
from vp_jax import checkpoint
from vp_jax.cli.main import run
from vp_jax.errors import UserError


@pytest.mark.parametrize(
    "argv, message",
    [
        ([], "give --config FILE and --workdir RUN"),
        (["--config", "tiny"], "give --config FILE and --workdir RUN"),
        (["--config", "tiny", "--workdir", ""], "give --config FILE and --workdir RUN"),
        (["--workdir", "x"], "give --config FILE and --workdir RUN"),
        (["--config", "tiny", "--workdir", "x", "extra"], "unexpected arguments extra"),
        (["--config", "tny", "--workdir", "x"], "did you mean tiny?"),
        (["--config", "tiny", "--workdir", "x", "--config.foo=1"], "no setting 'foo'"),
        (["--config", "tiny", "--workdir", "x", "--config.steps", "many"], "--config.steps=many"),
        (["--config", "tiny", "--workdir", "x", "--profile", "-1"], "--profile -1: expected a number of steps"),
        (["--config", "tiny", "--workdir", "x", "--dry_run", "--export"], "--dry_run stops after one step"),
    ],
)
def test_mistakes_are_one_line_before_jax_is_imported(argv, message, tmp_path):
    status, out, lines, loaded = program(["train", *argv], cwd=tmp_path)
    assert (status, out, len(lines)) == (2, "", 1)
    assert "jax" not in re.findall(r"\w+", loaded)
    assert lines[0].startswith("error: ") and message in lines[0]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("argv", [["train", "--config", "tiny", "--compile_only"], ["compile", "--config", "tiny"]])
def test_an_unknown_device_to_compile_for_is_refused(argv):
    with pytest.raises(UserError, match="compile_only 'v99:2x2': expected 'local' or a chip"):
        run([*argv, "v99:2x2"])


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--config", "tiny", "--out", "o", "--masks", "x"], "--masks: invalid int value: 'x'"),
        (["--config", "tiny", "--out", "o"], "give --config FILE, --out FOLDER and --config.model.checkpoint"),
        (["--config", "tiny", "--out", "o", "--config.foo=1"], "no setting 'foo'"),
        (["--config", "tiny", "--out", "o", "--direct_num_workers=2"], "unknown flag --direct_num_workers"),
    ],
)
def test_building_latent_shards_reports_mistakes_alike(argv, message, tmp_path):
    status, _, lines, loaded = program(["latents", *argv], cwd=tmp_path)
    assert (status, len(lines)) == (2, 1) and message in lines[0]
    assert "jax" not in re.findall(r"\w+", loaded)


def test_flags_and_settings_reach_the_training_program(tmp_path, monkeypatch):
    seen = {}

    class Program:
        @staticmethod
        def train(config, workdir, *, export_only, profile):
            seen.update(steps=config.steps, lr=config.optimizer.lr, workdir=workdir, profile=profile)
            seen.update(export_only=export_only)
            return 143

    monkeypatch.setitem(sys.modules, "vp_jax.runs.train", Program)
    argv = ["train", "--config", "tiny", "--workdir", str(tmp_path), "--config.steps=7", "--config.optimizer.lr", "0.5"]
    assert run([*argv, "--export", "--profile", "3"]) == 143
    assert seen == {"steps": 7, "lr": 0.5, "workdir": tmp_path, "export_only": True, "profile": 3}


def test_verify_compares_the_checkpoint_before_the_run_is_made(tmp_path):
    start = ["train", "--config", "tiny", "--workdir", str(tmp_path / "run"), "--verify"]
    with pytest.raises(UserError, match="--verify: this run starts from random weights"):
        run([*start])
    checkpoint.save_config(tmp_path / "weights" / "scheduler", {"kind": "schedule"})
    config = tmp_path / "weights" / "scheduler" / "config.json"
    config.write_text(config.read_text().replace("schedule", "Schedule"))
    with pytest.raises(UserError, match=r"config\.json is not what was written"):
        run([*start, f"--config.model.checkpoint={tmp_path / 'weights'}"])
    assert not (tmp_path / "run").exists()
