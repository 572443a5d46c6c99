"""One of several processes that save and restore a divided state; see `test_processes`.

python -m tests.checkpoint.run_process NUMBER COUNT ADDRESS FOLDER STAGE
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from vp_jax import checkpoint, sharding
from vp_jax.checkpoint import TrainingCheckpoints, array_digests


def values(step: int) -> dict[str, np.ndarray]:
    """The state of a step, the same in every process."""
    draw = np.random.default_rng(step)
    return {
        "kernel": draw.standard_normal((64, 48)).astype(np.float32),
        "half": draw.standard_normal((16, 8)).astype(jnp.bfloat16),
        "step": np.asarray(step, np.int32),
    }


def placed(mesh: jax.sharding.Mesh, step: int) -> dict[str, jax.Array]:
    """That state, divided over all devices of all processes."""
    places = {"kernel": PartitionSpec("fsdp"), "half": PartitionSpec(None, "fsdp"), "step": PartitionSpec()}
    return {
        name: jax.make_array_from_callback(x.shape, NamedSharding(mesh, places[name]), lambda part, x=x: x[part])
        for name, x in values(step).items()
    }


def main() -> None:
    """Save steps 1 to 3, or restore the newest that can be read and print what was found."""
    number, count, address, folder, stage = sys.argv[1:]
    if int(count) > 1:
        jax.distributed.initialize(address, int(count), int(number))
    mesh = sharding.make_mesh({"fsdp": 8})
    with TrainingCheckpoints(Path(folder) / "run", keep=3) as checkpoints:
        if stage == "save":
            for step in (1, 2, 3):
                checkpoints.save(step, placed(mesh, step), {"loader": {"step": step}}, wait=True)
            checkpoint.save_params(Path(folder) / "model", placed(mesh, 4), {"kind": "vae"})
            digests = array_digests.of_arrays(placed(mesh, 3))
            assert digests == array_digests.of_arrays(values(3)), "the host and the processes disagree"
            return
        like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), placed(mesh, 1))
        restored = checkpoints.restore_newest(like)
        model = checkpoint.load_params(Path(folder) / "model", like)
    assert restored is not None
    for found, step in ((restored.state, restored.step), (model, 4)):
        for name, want in values(step).items():
            for shard in found[name].addressable_shards:
                np.testing.assert_array_equal(np.asarray(shard.data), want[shard.index])
    print(json.dumps({"step": restored.step, "notes": restored.notes, "damaged": restored.damaged}), flush=True)


if __name__ == "__main__":
    main()
