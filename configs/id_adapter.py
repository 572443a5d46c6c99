"""The ID adapter (LoRA, paper section 3.3) as a change to any other file here, named after the colon.

    python train.py --config configs/id_adapter.py:tpu_v4 --workdir RUN \
        --config.model.checkpoint=CONVERTED --config.data.path=VPDATA

CONVERTED holds the trained context encoder. 2,000 steps at 5e-5, rank 256, alpha 128.
"""

import importlib

from ml_collections import ConfigDict


def get_config(base: str) -> ConfigDict:
    """Settings of the file ``base``, such as ``tpu_v4``, for the ID adapter."""
    config = importlib.import_module(f"vp_jax.configs.{base}").get_config()
    config.model.stage = "id_adapter"
    if base != "tiny":
        config.steps = 2_000
        config.optimizer.update(lr=5e-5, warmup=200)
        config.checkpoints.update(every=250)
        config.validation.update(every=250)
    return config
