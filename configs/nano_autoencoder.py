"""The next small model, first of three: an autoencoder of blocks on the drawn world, from principal components on.

    python -m bench.nano.autoencoder start START --channels 32
    python train.py --config configs/nano_autoencoder.py:squared --workdir RUN --config.model.init_from=START
    python -m bench.nano.autoencoder gate RUN/export/vae
    python -m bench.nano.autoencoder scale RUN/export/vae CHECKPOINT/vae

Squared errors raise PSNR fastest. Crops are enough, an autoencoder of blocks sees no more of a picture than a few
cells. CHECKPOINT is the folder that configs/nano_joint.py starts from. The phase ``sharp`` would go on with absolute
errors of pixels and of their differences; it made held-out clips no sharper, and examples/train_nano_gpu.sh leaves it
out.
"""

from ml_collections import ConfigDict

from vp_jax.configs import nano_vae

AUTOENCODER_PHASES = ("squared", "sharp")


def get_config(part: str = "squared") -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for a phase of nano's VAE. Raises `ValueError` for an unknown one."""
    if part not in AUTOENCODER_PHASES:
        raise ValueError(f"configs/nano_autoencoder.py:{part}: expected one of {', '.join(AUTOENCODER_PHASES)}")
    config = nano_vae.get_config()  # its world, size of clips and crops
    config.model.update(kl_weight=1e-6, vae_error="squared" if part == "squared" else "absolute")
    config.data.synthetic_look = "lit"
    config.loader.update(batch_size=8, frames=17)
    config.optimizer.update(lr=2e-3 if part == "squared" else 3e-4, warmup=100)
    config.step.update(ema_decay=0.999)
    config.steps = 8_000 if part == "squared" else 4_000
    config.log_every = 50
    config.checkpoints.update(every=500)
    config.validation.update(every=2000)
    return config
