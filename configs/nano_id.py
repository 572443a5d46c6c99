"""The small model, last of four: the ID adapter.

    python train.py --config configs/nano_id.py --workdir RUN_ID --config.model.checkpoint=CHECKPOINT \
        --config.data.path=LATENTS --config.compilation_cache=CACHE

CHECKPOINT holds all four models but this one; RUN_ID/export/id_adapter completes it. Clips of the world are two windows
long, 34 frames, and every stored window begins anywhere in its clip: the thing to keep is seen from any moment of its
way on. As published, the extra keys are those of the window itself where it has no hole.
"""

from ml_collections import ConfigDict

from vp_jax.configs import nano_branch


def get_config() -> ConfigDict:
    """Settings of `vp_jax.runs.run_config` for nano's ID adapter."""
    config = nano_branch.get_config()
    config.steps = 600
    config.model.update(stage="id_adapter", rank=16, alpha=16.0, injection_tokens="all")
    config.model.update(attention="xla", products="bfloat16")
    config.optimizer.update(lr=1e-3, warmup=50)
    config.validation.update(every=600)
    return config
