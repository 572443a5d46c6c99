"""The small model, first of four: an autoencoder of blocks on the drawn world, from principal components on.

    python -m bench.nano.autoencoder start START --channels 32
    python train.py --config configs/nano_autoencoder.py:squared --workdir RUN --config.model.init_from=START
    python -m bench.nano.autoencoder gate RUN/export/vae
    python -m bench.nano.autoencoder scale RUN/export/vae CHECKPOINT/vae

Squared errors raise PSNR fastest; a rate of 2e-3 first doubled the loss of the principal components. Crops are enough,
an autoencoder of blocks sees no more of a picture than a few cells. CHECKPOINT is the folder that
configs/nano_joint.py starts from. The phase ``sharp`` would go on with absolute errors of pixels and of their
differences; it made held-out clips no sharper, and examples/train_nano_gpu.sh leaves it out.
"""

from ml_collections import ConfigDict

from vp_jax.configs import common

AUTOENCODER_PHASES = ("squared", "sharp")


def get_config(part: str = "squared") -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for a phase of nano's VAE. Raises `ValueError` for an unknown one."""
    if part not in AUTOENCODER_PHASES:
        raise ValueError(f"configs/nano_autoencoder.py:{part}: expected one of {', '.join(AUTOENCODER_PHASES)}")
    config = common.base()
    config.mesh = dict(data=1, fsdp=1, context=1, tensor=1)
    config.model.update(stage="vae", name="nano", dtype="float32", remat="", branch_remat="", vae_crop=(32, 48))
    config.model.update(kl_weight=1e-6, vae_error="squared" if part == "squared" else "absolute")
    config.data.update(kind="synthetic", synthetic_clips=1_000_000)
    config.loader.update(batch_size=8, frames=17, height=64, width=96, workers=0)
    config.augment.update(probability=0.0)
    config.optimizer.update(lr=5e-4 if part == "squared" else 3e-4, warmup=50, b2=0.99, weight_decay=0.0, decay=0.7)
    config.step.update(ema_decay=0.98)
    config.ema = True
    config.steps = 1300 if part == "squared" else 800
    config.log_every = 50
    config.checkpoints.update(every=500)
    config.validation.update(every=800, clips=4, frames=17)
    return config
