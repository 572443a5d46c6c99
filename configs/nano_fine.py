"""The small model, third of four: transformer, text encoder and context encoder, with tokens of one latent cell.

    python -m bench.nano.finer CHECKPOINT FINER
    python train.py --config configs/nano_fine.py --workdir RUN_FINE --config.model.init_from=FINER \
        --config.model.checkpoint=CHECKPOINT --config.model.tokenizer=VOCABULARY.model --config.data.path=LATENTS

CHECKPOINT has what configs/nano_autoencoder.py and configs/nano_joint.py exported; LATENTS are those of
configs/nano_joint.py. What RUN_FINE/export holds replaces its parts of CHECKPOINT, for configs/nano_id.py.
"""

from ml_collections import ConfigDict

from vp_jax.configs import nano_joint


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for the second half of nano's joint training."""
    config = nano_joint.get_config()
    config.steps = 2600
    config.model.update(name="nano")
    config.loader.update(batch_size=4)  # a finer model has to learn its new grid: more steps, of fewer clips
    config.optimizer.update(lr=1.5e-3, warmup=50, decay=0.6)
    config.step.update(ema_decay=0.99)
    return config
