"""Benchmarks by name, and their parts."""

import pytest

from vp_jax.cli.bench import BENCH_NAMES
from vp_jax.errors import UserError
from vp_jax.vpbench.benchmarks import BENCHMARK_NAMES, open_benchmark


def test_parts_cover_every_clip_once():
    whole = open_benchmark("world", clips=3, groups=("fill", "remove"), size=(32, 48))
    names = [clip.name for clip in whole.clips]
    parts = [clip.name for number in range(4) for clip in whole.shard(number, 4).clips]
    assert len(names) == 6 and sorted(parts) == sorted(names)
    with pytest.raises(UserError, match="shard 4/4: expected 0/4 to 3/4"):
        whole.shard(4, 4)


def test_settings_say_how_it_was_opened():
    found = open_benchmark("world", clips=1, groups=("fill",), size=(32, 48), look="lit").settings
    assert found == {"benchmark": "world", "clips": 1, "size": [32, 48], "groups": ["fill"], "look": "lit"}


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("paris", {}, "benchmark paris: expected one of world, vpbench-s"),
        ("davis", {}, "benchmark davis needs `data`, the downloaded folder"),
        ("table", {}, "benchmark table needs `data`, the table"),
        ("world", {"clips": 0}, "clips 0: expected 1 or more"),
    ],
)
def test_mistakes_are_one_line(name, options, message):
    with pytest.raises(UserError, match=message):
        open_benchmark(name, **options)


def test_the_command_knows_the_same_names():
    assert BENCH_NAMES == BENCHMARK_NAMES
