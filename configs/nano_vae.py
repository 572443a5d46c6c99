"""The small model, first of four: a VAE from random weights on the procedural world, about 18 minutes on two cores.

    python train.py --config configs/nano_vae.py --workdir RUN_VAE --config.compilation_cache=CACHE
    python train.py --config configs/nano_vae.py:whole --workdir RUN_VAE_WHOLE \
        --config.model.init_from=RUN_VAE/export/vae           whole pictures, for the statistics of the norms

Clips of 9 frames, cut to 32 x 48 at first: the VAE sees no more of a picture than a few cells anyway. RUN/export/vae is
a part of the checkpoint folder that configs/nano_backbone.py starts from.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(part: str = "crops") -> ConfigDict:
    config = common.base()
    config.steps = 3600
    config.mesh = dict(data=1, fsdp=1, context=1, tensor=1)
    config.model.update(stage="vae", name="nano", dtype="float32", remat="", branch_remat="", vae_crop=(32, 48),
                        kl_weight=1e-4)
    config.data.update(kind="synthetic", synthetic_clips=1_000_000)
    config.loader.update(batch_size=4, frames=9, height=64, width=96, workers=0)
    config.augment.update(probability=0.0)
    config.optimizer.update(lr=2e-3, warmup=50, b2=0.99, weight_decay=0.0)
    config.step.update(ema_decay=0.99)
    config.ema = True
    config.log_every = 20
    config.checkpoints.update(every=300)
    config.validation.update(every=600, clips=4, frames=17)
    if part == "whole":
        config.steps = 120
        config.model.vae_crop = (0, 0)
        config.optimizer.update(lr=3e-4, warmup=10)
        config.checkpoints.update(every=40)
        config.validation.update(every=40)
    return config
