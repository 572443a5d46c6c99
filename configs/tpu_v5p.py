"""Context encoder on a TPU v5p-32 slice, 16 chips of 95 GB: 8 examples, each on 2 chips.

    python train.py --config configs/tpu_v5p.py --workdir RUN \
        --config.model.checkpoint=CONVERTED --config.data.path=VPDATA
    python train.py --config configs/id_adapter.py:tpu_v5p --workdir ...          the ID adapter
"""

from ml_collections import ConfigDict

from vp_jax.configs import common


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for a slice of TPU v5p."""
    config = common.base()
    config.distributed = "auto"
    config.mesh = dict(data=1, fsdp=8, context=-1, tensor=1)
    # keep what attention gives (0.1 GB a block and example, divided): it is two thirds of the work
    config.model.update(remat="save_attention", branch_remat="save_attention")
    config.validation.clips = 8  # one per batch share, the fewest this mesh takes
    return config
