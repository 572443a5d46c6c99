"""Transformer and text encoder of the small model alone, from random weights: a backbone for experiments.

    vp-jax vocabulary VOCABULARY.model
    python train.py --config configs/nano_backbone.py --workdir RUN_BACKBONE --config.model.checkpoint=CHECKPOINT \
        --config.model.tokenizer=VOCABULARY.model --config.data.path=LATENTS --config.compilation_cache=CACHE

CHECKPOINT is a folder with vae/ of configs/nano_autoencoder.py; LATENTS are shards of ``vp-jax latents``, clean
(``--masks 0``) or with masks. What RUN_BACKBONE/export holds belongs into CHECKPOINT, for configs/nano_branch.py.
"""

from ml_collections import ConfigDict

from vp_jax.configs import common


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for nano's backbone and text encoder."""
    config = common.base()
    config.steps = 4000
    config.mesh = dict(data=1, fsdp=1, context=1, tensor=1)
    # keeping matrix products alone is faster on a CPU than writing everything to memory and reading it again
    config.model.update(
        stage="backbone", name="nano_coarse", dtype="float32", remat="dots_saveable", branch_remat="dots_saveable"
    )
    config.data.update(kind="latents", synthetic_clips=3000)
    config.loader.update(batch_size=16, frames=17, height=64, width=96, workers=0, empty_caption=0.1, cover_cells=True)
    # holes are grown by 2 pixels as in sampling: a model that only knows outlines fills a grown one to its rim
    config.augment.update(
        grow=2,
        kernel=5,
        probability=0.5,
        p_brush=0.3,
        p_rect=0.1,
        p_ellipse=0.1,
        p_circle=0.1,
        p_random_brush=0.0,
        p_moving_shape=0.4,
    )
    config.optimizer.update(lr=1e-3, warmup=100, b2=0.99, weight_decay=0.01)
    config.step.update(hole_weight=0.0, ema_decay=0.998)
    config.ema = True
    config.log_every = 50
    config.checkpoints.update(every=250)
    config.validation.update(every=2000, loss_every=250, kind="synthetic", steps=20, guidance=3.0, clips=4, frames=17)
    return config
