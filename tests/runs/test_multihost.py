"""Jobs of several hosts: how processes are joined, who reports, and keys that are the same everywhere."""

import jax
import numpy as np
import pytest

from vp_jax import sharding
from vp_jax.errors import UserError
from vp_jax.runs import multihost


@pytest.fixture
def joined(monkeypatch):
    """Arguments of `jax.distributed.initialize`, which does nothing."""
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args: calls.append(args))
    return calls


def test_processes_are_joined_as_it_is_written(joined):
    multihost.join("")
    assert joined == []
    multihost.join("auto")
    multihost.join("host0:8080,4,3")
    assert joined == [(), ("host0:8080", 4, 3)]


@pytest.mark.parametrize(
    "spec, message",
    [
        ("yes", "expected an empty value, auto or HOST:PORT,COUNT,INDEX"),
        ("host:port,2,0", "HOST:PORT"),
        ("host:80,2", "COUNT,INDEX"),
        ("host:80,2,2", "INDEX from 0 to COUNT - 1"),
        ("host:80,2,x", "COUNT,INDEX"),
    ],
)
def test_other_forms_are_refused(joined, spec, message):
    with pytest.raises(UserError, match=message):
        multihost.join(spec)
    assert joined == []


def test_a_platform_that_names_no_cluster_is_one_line(monkeypatch):
    def initialize():
        raise ValueError("no coordinator")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    with pytest.raises(UserError, match=r"no TPU pod or cluster known to JAX \(no coordinator\)"):
        multihost.join("auto")


@pytest.mark.parametrize("index, printed", [(0, "a line\n"), (1, "")])
def test_one_process_reports(monkeypatch, capsys, index, printed):
    monkeypatch.setattr(jax, "process_index", lambda: index)
    multihost.print_once("a line")
    multihost.print_once(None)
    assert capsys.readouterr().out == printed and multihost.is_chief() == (index == 0)


def test_keys_follow_from_the_seed_on_every_mesh():
    where = [sharding.replicated(sharding.make_mesh({"data": count}, jax.devices()[:count])) for count in (1, 2)]
    one, two = (multihost.keys(7, 3, place) for place in where)
    values = [[np.asarray(jax.random.key_data(key)).tolist() for key in keys] for keys in (one, two)]
    assert values[0] == values[1] and len({tuple(value) for value in values[0]}) == 3
    assert two[0].sharding == where[1]
    other = multihost.keys(8, 3, where[0])
    assert np.asarray(jax.random.key_data(other[0])).tolist() not in values[0]
