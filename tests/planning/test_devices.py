"""Devices you do not have: specifications, names and grids, and what to install for their compilers."""

import os

import jax
import pytest

from vp_jax.errors import UserError
from vp_jax.planning import devices
from vp_jax.planning.devices import CHIPS
from vp_jax.training import flops


def test_this_machine_is_a_target():
    found = devices.target("local")
    assert found.platform == "cpu" and list(found.devices) == jax.devices() and found.memory is None


def test_peaks_are_those_that_training_reports():
    kinds = {"v4": "TPU v4", "v5e": "TPU v5 lite", "v5p": "TPU v5", "v6e": "TPU v6 lite"}
    for name, chip in CHIPS.items():
        kind = kinds[name] if chip.gpu is None else chip.gpu.name
        known = flops.peak_flops(kind)
        assert known is None or known == chip.peak, name


@pytest.mark.parametrize("name", [name for name, chip in CHIPS.items() if chip.gpu is not None])
def test_memory_is_what_the_vendor_states(name):
    assert CHIPS[name].memory == pytest.approx(CHIPS[name].gpu.memory / devices.GB, rel=0.08)


@pytest.mark.parametrize(
    "where, words",
    [
        ("v9:2x2", "'v9:2x2': expected 'local' or a chip: a TPU and its grid such as v4:4x4x4"),
        ("", "such as h100:8; known are v4, v5e, v5p, v6e, h200, h100, a100, a100-40gb, rtx4090"),
        ("h100", "'h100': expected 1 to 8 GPUs of one machine, such as h100:8"),
        ("h100:9", "expected 1 to 8 GPUs"),
        ("h100:2x4", "expected 1 to 8 GPUs"),
    ],
)
def test_names_that_mean_nothing_are_refused_with_those_that_do(where, words):
    with pytest.raises(UserError, match=words):
        devices.target(where)


def test_a_missing_compiler_names_the_extra(monkeypatch):
    def missing(platform, **options):
        raise NotImplementedError(f"topology not implemented for {platform}")

    monkeypatch.setattr(devices.topologies, "get_topology_desc", missing)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(UserError, match=r"not implemented for cuda; .* pip install 'vp_jax\[aot-gpu\]'"):
        devices.target("h100:1")
    with pytest.raises(UserError, match=r"not implemented for tpu; .* pip install 'vp_jax\[aot\]'"):
        devices.target("v6e:2x4")


def test_a_gpu_is_described_to_its_compiler(monkeypatch):
    asked = {}
    monkeypatch.setattr(devices.topologies, "get_topology_desc", lambda **options: asked.update(options) or _Topology)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    found = devices.target("rtx4090:2")
    assert (found.platform, found.memory, found.devices) == ("gpu", 24, ("a", "b"))
    assert asked["topology"] == "1x1x2" and asked["platform"] == "cuda"
    for words in ("core_count: 128", "major: 8 minor: 9", 'device_description_str: "NVIDIA GeForce RTX 4090"'):
        assert words in asked["target_config"]
    assert "dnn_version_info { major: 9" in asked["target_config"]
    assert os.environ["JAX_SKIP_CUDA_CONSTRAINTS_CHECK"] == "1"


class _Topology:
    devices = ("a", "b")
