"""A context encoder of the small model on its frozen backbone, as published: for the rows of the ablation.

    python train.py --config configs/nano_branch.py --workdir RUN_BRANCH --config.model.checkpoint=CHECKPOINT \
        --config.data.path=LATENTS --config.compilation_cache=CACHE

CHECKPOINT holds vae/ and what configs/nano_joint.py or configs/nano_backbone.py exported; LATENTS are shards with
masks. What RUN_BRANCH/export holds belongs into CHECKPOINT, for configs/nano_id.py. Half of the holes are what a
tracker would give; the others are widened, made boxes or ellipses that move along, or drawn over the first frame's box
and left there.
"""

from ml_collections import ConfigDict

from vp_jax.configs import nano_backbone


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for nano's context encoder."""
    config = nano_backbone.get_config()
    config.steps = 2000
    config.model.update(stage="branch", name="nano", branch_layers=2)
    config.optimizer.update(lr=1e-3, warmup=50)
    # the sampler takes everything but the hole from the video: let the hole count for most of the loss
    config.step.update(hole_weight=10.0, ema_decay=0.99)
    config.log_every = 20
    config.checkpoints.update(every=100)
    config.validation.update(every=2000)
    return config
