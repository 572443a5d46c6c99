"""Context encoder on one machine with 8 GPUs of 80 GB, one example each.

    python train.py --config configs/gpu_h100.py --workdir RUN \
        --config.model.checkpoint=CONVERTED --config.data.path=VPDATA
    python train.py --config configs/id_adapter.py:gpu_h100 --workdir ...        the ID adapter
"""

from ml_collections import ConfigDict

from vp_jax.configs import common


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for one machine of eight H100."""
    config = common.base()
    config.mesh = dict(data=1, fsdp=8, context=1, tensor=1)
    config.validation.clips = 8  # one per batch share, the fewest this mesh takes
    return config
