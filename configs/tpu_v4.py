"""Context encoder on a TPU v4 slice of 64 chips (4 x 4 x 4), 32 GB each: 8 examples, each on 8 chips.

    python train.py --config configs/tpu_v4.py --workdir RUN \
        --config.model.checkpoint=CONVERTED --config.data.path=VPDATA
    python train.py --config configs/id_adapter.py:tpu_v4 --workdir ...          the ID adapter
"""

from ml_collections import ConfigDict

from vp_jax.configs import common


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for a slice of TPU v4."""
    config = common.base()
    config.distributed = "auto"
    config.mesh = dict(data=1, fsdp=8, context=-1, tensor=1)
    # keep what attention gives (0.1 GB a block and example, divided): it is two thirds of the work
    config.model.update(remat="save_attention", branch_remat="save_attention")
    config.validation.clips = 8  # one per batch share, the fewest this mesh takes
    return config
