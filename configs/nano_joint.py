"""The small model, second of four: transformer, text encoder and context encoder, in one run.

    vp-jax vocabulary VOCABULARY.model
    vp-jax latents --config nano_joint --out LATENTS --config.model.checkpoint=CHECKPOINT --masks 3 --images 1 \
        --config.data.kind=synthetic --config.data.synthetic_clips=10000 --config.loader.first_frame_dropout=0.3
    python train.py --config configs/nano_joint.py --workdir RUN_JOINT --config.model.checkpoint=CHECKPOINT \
        --config.model.tokenizer=VOCABULARY.model --config.data.path=LATENTS

CHECKPOINT is a folder with vae/ of configs/nano_autoencoder.py. Tokens are 2 x 2 latent cells here, whose steps take a
fifth of the time of those that follow: what RUN_JOINT/export holds belongs into CHECKPOINT, for configs/nano_fine.py.
Holes, first frames and captions are those of configs/nano_backbone.py; under three of ten masks the first frame has a
hole too, so that only the caption says what belongs there.
"""

from ml_collections import ConfigDict

from vp_jax.configs import nano_backbone


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for nano's backbone, text encoder and context encoder."""
    config = nano_backbone.get_config()
    config.steps = 12_000
    # a young backbone brings little of the hints into a hole by itself (docs/nano/experiments.md)
    config.model.injection_tokens = "all"
    # 144 tokens: attention in one piece is as fast as by heads, and products of bfloat16 are a third faster with AMX
    config.model.update(stage="joint", hint_dropout=0.15, attention="xla", products="bfloat16")
    config.data.synthetic_absent = 0.3
    config.loader.update(batch_size=16)
    # the same loss in fewer steps than AdamW (docs/nano/experiments.md)
    config.optimizer.update(name="muon", lr=2e-3, warmup=200, decay=0.25)
    # half of the timesteps lie above 2/3: there it is decided what a hole holds and where
    config.step.update(hole_weight=4.0, ema_decay=0.999, timestep_shift=2.0)
    config.checkpoints.update(every=250)
    config.validation.update(every=2000, loss_every=500)
    return config
