"""Programs of sampling compiled: for this machine's devices here, for others with their compilers."""

import pytest

from vp_jax import sharding
from vp_jax.errors import UserError
from vp_jax.planning import compile_sampling
from vp_jax.planning.devices import target


@pytest.mark.slow
def test_local_devices_are_compiled_for_and_described():
    goal, said = target("local"), []
    goal = goal._replace(devices=goal.devices[:7])
    reports = compile_sampling.sampling_reports(
        goal, {"context": 7}, ["text", "step"], model="nano", precision="float32", say=said.append
    )
    assert [report.name for report in reports] == ["text", "step"]
    assert "nano, float32" in said[0] and any("all-to-all" in line for line in said)
    whole = compile_sampling.sampling_reports(
        goal._replace(devices=goal.devices[:1]), {}, ["step"], model="nano", precision="float32", say=said.append
    )
    # seven devices share the work of one, but for a little padding
    total = 7 * (reports[1].program.matmul_flops + reports[1].program.attention_flops)
    assert total == pytest.approx(whole[0].program.matmul_flops + whole[0].program.attention_flops, rel=0.2)


@pytest.mark.slow
def test_the_command_prints_memory_and_ends_with_a_verdict(one_device):
    said = []
    assert compile_sampling.compile_sampling("local", ["text", "encode_image"], model="tiny", say=said.append) == 0
    assert said[1] == "text: tiny has no such part"
    assert any(line.startswith("  memory per device: arguments") for line in said)
    assert said[-1].startswith("memory of this device is not known")


def test_the_halves_of_guidance_are_divided_where_the_devices_are_even():
    assert sharding.sampling_sizes(8) == {"data": 2, "context": -1}
    assert sharding.sampling_sizes(1) == {"data": 1, "context": -1}


def test_a_mesh_in_another_form_is_refused():
    assert sharding.sizes_of("data=2,context=4") == {"data": 2, "context": 4}
    with pytest.raises(UserError, match="mesh '2x4': expected AXIS=SIZE"):
        sharding.sizes_of("2x4")
