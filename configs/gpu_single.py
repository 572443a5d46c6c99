"""Context encoder on one GPU of 80 to 141 GB: the batch of 8 in 8 parts, small optimizer state, average off.

    python train.py --config configs/gpu_single.py --workdir RUN \
        --config.model.checkpoint=CONVERTED --config.data.kind=latents --config.data.path=LATENTS

Latent shards keep VAE and T5 out of the loop; with ``data.kind=vpdata`` they run one clip at a time.
"""

from ml_collections import ConfigDict

from vp_jax.configs import common


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for one GPU of 80 GB."""
    config = common.base()
    config.mesh = dict(data=1, fsdp=1, context=1, tensor=1)
    config.step.accumulate = 8
    config.model.vae_slicing = True
    config.optimizer.name = "adamw_bf16"
    return config
