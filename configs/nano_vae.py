"""The small model, first of four: a VAE from random weights on the procedural world.

    python train.py --config configs/nano_vae.py:images --workdir RUN_1 --config.compilation_cache=CACHE
    python train.py --config configs/nano_vae.py:clips --workdir RUN_2 --config.model.init_from=RUN_1/export/vae
    python train.py --config configs/nano_vae.py:whole --workdir RUN_3 --config.model.init_from=RUN_2/export/vae

Single frames first: many scenes in a batch teach what a cell of a picture looks like. Then clips of 9 frames, then
whole pictures for the statistics of the norms. Crops are enough for the first two: the VAE sees no more of a picture
than a few cells anyway. RUN_3/export/vae is a part of the checkpoint folder that configs/nano_backbone.py starts from.
"""

from ml_collections import ConfigDict

from vp_jax.configs import common

PHASES = ("images", "clips", "whole")


def get_config(part: str = "images") -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for a phase of nano's VAE. Raises `ValueError` for an unknown one."""
    if part not in PHASES:
        raise ValueError(f"configs/nano_vae.py:{part}: expected one of {', '.join(PHASES)}")
    config = common.base()
    config.mesh = dict(data=1, fsdp=1, context=1, tensor=1)
    config.model.update(
        stage="vae", name="nano", dtype="float32", remat="", branch_remat="", vae_crop=(32, 48), kl_weight=1e-4
    )
    config.data.update(kind="synthetic", synthetic_clips=1_000_000)
    config.loader.update(batch_size=32, frames=1, height=64, width=96, workers=0)
    config.augment.update(probability=0.0)
    config.optimizer.update(lr=3e-3, warmup=50, b2=0.99, weight_decay=0.0)
    config.step.update(ema_decay=0.99)
    config.ema = True
    config.steps = 1200
    config.log_every = 20
    config.checkpoints.update(every=250)
    config.validation.update(every=600, clips=4, frames=17)
    if part == "clips":
        config.steps = 4800
        config.loader.update(batch_size=4, frames=9)
        config.optimizer.update(lr=1e-3)
        config.step.ema_decay = 0.998
    if part == "whole":
        config.steps = 60
        config.loader.update(batch_size=4, frames=9)
        config.model.vae_crop = (0, 0)
        config.optimizer.update(lr=3e-4, warmup=10)
        config.checkpoints.update(every=40)
        config.validation.update(every=60)
    return config
