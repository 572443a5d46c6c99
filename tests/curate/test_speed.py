"""Costs: rates of stages, extrapolated, with the bottleneck named."""

import types

import pytest

from vp_jax.curate.funnel import Funnel, StageCount
from vp_jax.curate.speed import costs_of


@pytest.fixture
def finished(tmp_path):
    counts = [
        StageCount("collect", 10, 8, 2, 0, 0, 5.0, 100.0, 800, {}),
        StageCount("duplicates", 8, 8, 0, 0, 0, 0.0, 0.0, 0, {}),
        StageCount("mask", 8, 8, 0, 0, 0, 45.0, 80.0, 640, {}),
    ]
    (tmp_path / "vpdata").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file").write_bytes(bytes(1000))
    (tmp_path / "vpdata" / "file").hardlink_to(tmp_path / "work" / "file")
    return types.SimpleNamespace(root=tmp_path, funnel=Funnel(counts), clips=[1, 2, 3, 4], shards=None)


def test_hours_are_those_of_the_run_for_so_many_sources(finished):
    costs = costs_of(finished, 3600, 2.0)
    collect, mask = costs.stages
    assert (collect.per_second, collect.video_per_second, collect.hours) == (2.0, 20.0, 0.5)
    assert mask.share == pytest.approx(0.9) and costs.hours == pytest.approx(5.0) and costs.bottleneck is mask
    assert costs.clips == 1440 and costs.output_bytes == 360 * 1000 == costs.work_bytes


def test_the_table_names_bottleneck_money_and_machine(finished):
    lines = "\n".join(costs_of(finished, 450_000, 0.04).lines())
    assert "for 450,000 videos" in lines and "days, 1024 cores" in lines
    assert "bottleneck: mask, 90% of the time" in lines and "625 core hours (25 at 0.04 an hour)" in lines


def test_days_on_gpus_are_frames_by_the_stated_rate(finished):
    costs = costs_of(finished, 3600, 2.0, {"mask": 40.0}, 3.0)
    assert [stage.gpu_hours for stage in costs.stages] == pytest.approx([0.0, 640 / 40 / 3600 * 360])
    lines = costs.lines()
    assert "days, 64 GPUs" in lines[0] and "mask would take 2 GPU hours (5 at 3 an hour)" in "\n".join(lines)
    assert "GPU" not in "\n".join(costs_of(finished, 3600, 2.0).lines())
