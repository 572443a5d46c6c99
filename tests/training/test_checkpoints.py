"""Training checkpoints: restored onto any mesh, old ones dropped, another run's refused."""

import contextlib
import resource
import shutil

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax import checkpoint, sharding
from vp_jax.checkpoint import TrainingCheckpoints
from vp_jax.errors import UserError
from vp_jax.training.optim import OptimConfig, make_optimizer
from vp_jax.training.state import init_state

OPTIMIZER = make_optimizer(OptimConfig(), 10)
PARAMS = {
    "blocks": {
        "attn": {
            "to_q": {"kernel": jnp.arange(2 * 16 * 8, dtype=jnp.float32).reshape(2, 16, 8), "bias": jnp.ones((2, 8))}
        }
    }
}


def placed(state, mesh):
    where = sharding.place(state, mesh).shardings
    return jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), state, where)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A state on eight devices, its moments not zero, saved as step 7."""
    folder = tmp_path_factory.mktemp("run")
    state = init_state(PARAMS, OPTIMIZER, ema=True)
    state = jax.tree.map(lambda x: x + 1, state)
    mesh = sharding.make_mesh({"fsdp": 8})
    state = jax.device_put(state, sharding.place(state, mesh).shardings)
    with TrainingCheckpoints(folder, keep=2) as checkpoints:
        checkpoints.save(7, state, {"loader": {"step": 7}, "config": {"lr": 1e-5}}, wait=True)
        checkpoints.save(7, state, {}, wait=True)
    return folder, state


@pytest.mark.parametrize("sizes, count", [({"fsdp": 8}, 8), ({"data": 2, "fsdp": 2}, 4), ({}, 1)])
def test_restored_onto_another_mesh(saved, sizes, count):
    folder, state = saved
    mesh = sharding.make_mesh(sizes, jax.devices()[:count])
    with TrainingCheckpoints(folder, keep=2) as checkpoints:
        assert checkpoints.latest == 7
        like = placed(state, mesh)
        got = checkpoints.restore(7, like)
        assert checkpoints.notes(7) == {"loader": {"step": 7}, "config": {"lr": 1e-5}}
    chex.assert_trees_all_equal(got, state)
    for leaf, want in zip(jax.tree.leaves(got), jax.tree.leaves(like)):
        assert leaf.sharding == want.sharding
    shard = got.params["blocks"]["attn"]["to_q"]["kernel"].addressable_shards[0].data
    assert shard.shape == (2, 16 // sizes.get("fsdp", 1), 8)


def test_a_state_of_another_run_is_refused_with_its_differences(saved):
    folder, state = saved
    other = init_state({"blocks": {"attn": {"to_q": {"kernel": jnp.zeros((2, 4, 8))}}}}, OPTIMIZER)
    with TrainingCheckpoints(folder, keep=2) as checkpoints:
        with pytest.raises(UserError, match=r"checkpoint 7 .* of another run: .*to_q/bias.*not in the model"):
            checkpoints.restore(7, placed(other, sharding.make_mesh({}, jax.devices()[:1])))


def test_only_the_newest_are_kept_and_donation_does_not_disturb_a_save(tmp_path):
    add = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    state = init_state(PARAMS, OPTIMIZER)
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        for step in range(4):
            checkpoints.save(step, state, {})
            state = add(state)
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest == 3
        like = placed(state, sharding.make_mesh({}, jax.devices()[:1]))
        got = [checkpoints.restore(step, like) for step in (2, 3)]
    for step, restored in zip((2, 3), got):
        np.testing.assert_array_equal(restored.params["blocks"]["attn"]["to_q"]["bias"], np.full((2, 8), 1.0 + step))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.isdigit()) == ["2", "3"]


def large_state():
    """Noise of 32 kB, which no compression makes small."""
    kernel = jax.random.normal(jax.random.key(0), (2, 64, 64))
    return init_state({"blocks": {"attn": {"to_q": {"kernel": kernel}}}}, OPTIMIZER)


@pytest.mark.parametrize(
    "damage, reason",
    [("state/d/*", "OUT_OF_RANGE"), ("notes/metadata", ""), ("state/_METADATA", "no description of its arrays")],
)
def test_a_damaged_checkpoint_is_one_line_that_says_how_to_go_on(tmp_path, capfd, damage, reason):
    state = large_state()
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        for step in (3, 5):
            checkpoints.save(step, state, {})
    for file in (tmp_path / "5").glob(damage):
        file.write_bytes(b"") if "METADATA" not in file.name else file.unlink()
    like = placed(state, sharding.make_mesh({}, jax.devices()[:1]))
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        with pytest.raises(UserError, match=f"checkpoint 5 .* cannot be read .*{reason}.*: move .*5 away, .* step 3"):
            checkpoints.restore(5, like)
            checkpoints.notes(5)
    assert "Traceback" not in capfd.readouterr().err
    shutil.rmtree(tmp_path / "5")
    with TrainingCheckpoints(tmp_path, keep=2) as checkpoints:
        chex.assert_trees_all_equal(checkpoints.restore(checkpoints.latest, like), state)


@contextlib.contextmanager
def no_room(size=4096):
    """No file can grow past ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_that_cannot_be_written_is_one_line_and_harms_no_other(tmp_path, capfd):
    state = large_state()
    with TrainingCheckpoints(tmp_path / "run", keep=1) as checkpoints:
        checkpoints.save(1, state, {})
    with pytest.raises(UserError, match=r"a checkpoint cannot be written to .*: make room"):
        with TrainingCheckpoints(tmp_path / "run", keep=1) as checkpoints, no_room():
            checkpoints.save(2, state, {}, wait=True)
    with TrainingCheckpoints(tmp_path / "run", keep=1) as checkpoints:
        assert checkpoints.latest == 1
        like = placed(state, sharding.make_mesh({}, jax.devices()[:1]))
        chex.assert_trees_all_equal(checkpoints.restore(1, like), state)
    with pytest.raises(UserError, match=r"model cannot be written .*: make room"), no_room():
        checkpoint.save_params(tmp_path / "model", state.params, {"kind": "dit"})
    assert "Traceback" not in capfd.readouterr().err
