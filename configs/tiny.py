"""Everything at toy size, in float32 on a CPU: 9 frames of 64 x 96, batch 2, the procedural world as data.

python train.py --config configs/tiny.py --workdir /tmp/run
python train.py --config configs/tiny.py --workdir /tmp/run --config.model.checkpoint=CONVERTED
python train.py --config configs/id_adapter.py:tiny --workdir /tmp/run_id
"""

from ml_collections import ConfigDict

from vp_jax.configs import common


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for a run of a minute on any machine."""
    config = common.base()
    config.steps = 20
    config.mesh = dict(data=1, fsdp=1, context=1, tensor=1)
    config.model.update(name="tiny", dtype="float32", remat="", branch_remat="", rank=4, alpha=2.0)
    config.data.update(kind="synthetic")
    config.loader.update(batch_size=2, frames=9, height=64, width=96, workers=0)
    config.augment.update(kernel=4)
    config.optimizer.update(lr=1e-3, warmup=2)
    config.log_every = 1
    config.checkpoints.update(every=5)
    config.validation.update(every=0, steps=2, frames=9)
    return config
