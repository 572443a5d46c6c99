"""The same losses on every mesh; bytes per device; what travels between devices; nothing for frozen weights."""

import json
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests.children import devices
from tests.compare import relative_error
from tests.training import mesh_run
from vp_jax import sharding, trees
from vp_jax.planning import hlo

MESHES = [{"data": 2, "fsdp": 4}, {"fsdp": 2, "context": 4}, {"fsdp": 4, "tensor": 2}]


@pytest.fixture(scope="module", params=["branch", "id_adapter"])
def single(request):
    prepared = mesh_run.Prepared(request.param, {"data": 1})
    return request.param, prepared.losses(), prepared.last


@pytest.mark.slow
@pytest.mark.parametrize("sizes", MESHES, ids=lambda sizes: "-".join(f"{k}{v}" for k, v in sizes.items()))
def test_every_mesh_gives_the_losses_of_one_device(single, sizes):
    stage, want, last = single
    prepared = mesh_run.Prepared(stage, sizes)
    got = prepared.losses()
    print(stage, sizes, "largest difference", max(abs(g - w) / w for g, w in zip(got, want)))
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert abs(got[0] - got[-1]) > 1e-3 * got[0], "the weights do not move: the test would compare nothing"
    for name, leaf in trees.flatten(last.params).items():
        assert relative_error(trees.flatten(prepared.last.params)[name], leaf) < 1e-3, name
    # parameters, moments and average lie divided, as the table says, before and after the step
    weights = trees.size_bytes(prepared.last.params)
    share = weights / sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(prepared.last.params))
    assert share > 0.8 * sizes.get("fsdp", 1) * sizes.get("context", 1)


@pytest.mark.slow
@pytest.mark.parametrize("fsdp", [2, 4, 8])
def test_bytes_on_a_device_fall_as_one_over_fsdp(fsdp):
    prepared = mesh_run.Prepared("branch", {"fsdp": fsdp})
    state = prepared.state
    for name, tree in (("parameters", state.params), ("optimizer", state.opt_state), ("frozen", prepared.frozen)):
        leaves = jax.tree.leaves(tree)
        whole = sum(leaf.nbytes for leaf in leaves)
        matrices = [leaf for leaf in leaves if leaf.ndim > 1 and leaf.nbytes > 0.005 * whole]
        one = sum(leaf.addressable_shards[0].data.nbytes for leaf in leaves)
        print(f"fsdp {fsdp}: {name} {whole} bytes, {one} on one device, ratio x fsdp {one * fsdp / whole:.3f}")
        assert all(leaf.addressable_shards[0].data.nbytes * fsdp == leaf.nbytes for leaf in matrices)
        assert one * fsdp / whole < 1.2  # norms and biases are copies: 2 % here, less than 0.5 % at full size


@pytest.mark.slow
def test_context_costs_two_exchanges_per_block_and_fsdp_gathers_weights_only():
    prepared = mesh_run.Prepared("branch", {"fsdp": 2, "context": 4})
    text = prepared.compiled.as_text()
    computations, entry = hlo.parse(text)
    times, unknown = hlo.runs(computations, entry)
    assert unknown == 0
    exchanges = {}
    for name, instructions in computations.items():
        # the arrays of a block, (B, S/context, K, A) in any order: nothing else is exchanged in a loop
        heads = [i for i in instructions if i.op == "all-to-all" and times.get(name, 0) > 1]
        if heads:
            exchanges[name] = (len(heads), times[name])
    # forward and backward of two loops: 2 blocks of the encoder, 4 of the backbone
    assert sorted(exchanges.values()) == [(2, 2), (2, 2), (2, 4), (2, 4)]
    moved = [
        i
        for name, body in computations.items()
        if times.get(name, 0) > 1
        for i in body
        if i.op in ("all-gather", "collective-permute") and any(78 in s.dims or 20 in s.dims for s in i.shapes)
    ]
    assert not moved, "tokens are gathered inside a block"


@pytest.mark.slow
def test_frozen_weights_have_neither_gradient_nor_optimizer_state():
    for name, stage in mesh_run.STAGES.items():
        prepared = mesh_run.Prepared(name, {"data": 1})
        shapes = stage.shapes()
        trained = sum(leaf.size for leaf in jax.tree.leaves(shapes.trainable))
        state = sum(leaf.size for leaf in jax.tree.leaves(prepared.state) if leaf.ndim)
        assert state == 4 * trained  # masters, two moments, average
        outputs = sum(leaf.size for leaf in jax.tree.leaves(prepared.compiled.out_info[0]) if leaf.ndim)
        assert outputs == 4 * trained
        # a gradient of the frozen feed-forward would be an array of its stacked shape that is not an argument
        layers = mesh_run.BACKBONE.num_layers
        stacked = hlo.HloShape("f32", (layers, 128, 512))
        computations, entry = hlo.parse(prepared.compiled.as_text())
        made = {i.op for i in computations[entry] if stacked in i.shapes}
        assert made <= {"parameter", "tuple", "bitcast", "copy", "get-tuple-element", "while", "call"}, made


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_device():
    want = mesh_run.Prepared("branch", {"data": 1}).losses()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    commands = [[sys.executable, "-m", "tests.training.mesh_run", str(i), "2", address, "branch"] for i in range(2)]
    children = [
        subprocess.Popen(command, env=devices(2), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        for child in children:
            out, err = child.communicate(timeout=300)
            assert child.returncode == 0, err[-2000:]
            np.testing.assert_allclose(json.loads(out.splitlines()[-1]), want, rtol=1e-5)
    finally:
        for child in children:
            child.kill()
            child.communicate()


def test_rule_table_names_all_arrays_of_both_stages():
    mesh = sharding.make_mesh({"fsdp": 2, "context": 2, "tensor": 2})
    for stage in mesh_run.STAGES.values():
        assert sharding.place(stage.shapes()._asdict(), mesh).undivided == []
