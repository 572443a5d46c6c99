"""``--compile_only``: the report of this machine's devices, what it suggests, what it refuses."""

import importlib

import pytest

from vp_jax.errors import UserError
from vp_jax.planning import aot, hlo


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
        "memory per chip: arguments",
        "TFLOP",
        "all-gather:",
        "buffers of tokens x tokens: none",
        "memory of this device is not known",
    ):
        assert words in text, text


def test_what_does_not_fit_is_told_with_a_suggestion(monkeypatch):
    program = hlo.Program(0.0, 0.0, {}, 0)
    goal = aot.Target("v6e:1x1", "tpu", aot.target("local").devices[:1], aot.CHIPS["v6e"], 32)
    monkeypatch.setattr(aot, "target", lambda where: goal)
    for report, words in [
        (aot.Report("train_step", 10**9, 40 * 10**9, 0, 0, program=program), "divide the sequence"),
        (aot.Report("train_step", 40 * 10**9, 10**9, 0, 0, program=program), "more chips for the weights"),
        (aot.Report("encode", 10**9, 40 * 10**9, 0, 0, program=program), "vae_slicing"),
        (aot.Report("train_step", too_big="Used 40G of 31.25G hbm"), "divide the sequence"),
    ]:
        monkeypatch.setattr(aot, "programs", lambda config, goal, report=report: ([report], 0.0))
        said = []
        config = settings("gpu_single")
        config.step.accumulate = 8
        assert aot.compile_only(config, "v6e:1x1", said.append) == 1
        assert words in said[-1] and "does not fit 32 GB" in said[-1]
    config.model.remat = ""
    assert "remat=nothing_saveable" in aot.suggestion(config, aot.Report("train_step", 1, 2), 1)
    config.model.remat, config.step.accumulate = "nothing_saveable", 1
    assert "fewer examples" in aot.suggestion(config, aot.Report("train_step", 1, 2), 1)


def test_roofline_slows_attention_down():
    program = hlo.Program(918e12, 918e12, {"all-gather": hlo.Traffic(1, 448e9)}, 0)
    assert aot.roofline(program, aot.CHIPS["v6e"]) == (5.0, 1.0)


def test_unknown_chips_are_named():
    with pytest.raises(UserError, match="'v9:2x2': expected 'local' or a chip and its grid"):
        aot.target("v9:2x2")
