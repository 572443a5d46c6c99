"""``--compile_only``: the report of this machine's devices, what it suggests."""

import importlib

import pytest

from vp_jax.planning import aot, hlo, training
from vp_jax.planning.devices import CHIPS, Target, target
from vp_jax.planning.report import Report


def settings(name, **mesh):
    config = importlib.import_module(f"vp_jax.configs.{name}").get_config()
    config.mesh.update(mesh)
    return config


@pytest.mark.slow
def test_local_devices_are_compiled_for_and_described():
    config = settings("tiny", fsdp=2, data=4)
    config.loader.batch_size = 8
    said = []
    assert aot.compile_only(config, "local", said.append) == 0
    text = "\n".join(said)
    for words in (
        "'data': 4, 'fsdp': 2",
        "encode (compiled in",
        "train_step (compiled in",
        "memory per device: arguments",
        "TFLOP",
        "all-gather:",
        "buffers of tokens x tokens: none",
        "memory of this device is not known",
    ):
        assert words in text, text


@pytest.mark.slow
def test_latent_shards_leave_the_encoders_out():
    config = settings("tiny")
    config.data.kind = "latents"
    config.mesh.data = 8
    config.loader.batch_size = 8
    said = []
    aot.compile_only(config, "local", said.append)
    assert not any(line.startswith("encode") for line in said)
    assert any(line.startswith("train_step") for line in said)


@pytest.mark.parametrize(
    "report, words",
    [
        (Report("train_step", 10**9, temporaries=40 * 10**9), "divide the sequence"),
        (Report("train_step", 40 * 10**9, temporaries=10**9), "more devices for the weights"),
        (Report("encode", 10**9, temporaries=40 * 10**9), "vae_slicing"),
        (Report("train_step", too_big="Used 40G of 31.25G hbm"), "divide the sequence"),
    ],
)
def test_what_does_not_fit_is_reported_with_a_suggestion(monkeypatch, report, words):
    report = Report(**{**report.__dict__, "program": hlo.Totals(0.0, 0.0, {}, 0)})
    goal = Target("v6e:1x1", "tpu", target("local").devices[:1], CHIPS["v6e"], 32)
    monkeypatch.setattr(aot, "target", lambda where: goal)
    monkeypatch.setattr(aot, "step_reports", lambda run, goal, mesh: ([report], 0.0))
    said = []
    config = settings("gpu_single")
    config.step.accumulate = 8
    assert aot.compile_only(config, "v6e:1x1", said.append) == 1
    assert words in said[-1] and "does not fit 32 GB" in said[-1]


def test_rematerialisation_and_smaller_batches_are_suggested_first():
    large, mesh = Report("train_step", 1, temporaries=2), {"data": 1, "fsdp": 4, "context": 2}
    config = settings("gpu_h100")
    config.model.remat = ""
    assert "remat=nothing_saveable" in aot.suggestion(training.Run.of_config(config), large, mesh)
    config.model.remat = "nothing_saveable"
    assert "fewer examples" in aot.suggestion(training.Run.of_config(config), large, mesh)
    config.step.accumulate = 2
    assert "divide the sequence" in aot.suggestion(training.Run.of_config(config), large, mesh)
