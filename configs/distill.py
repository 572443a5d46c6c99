"""Few steps: a model that needs 4 or 8 steps and no guidance, from one that is trained.

    python train.py --config configs/distill.py:tpu_v4 --workdir RUN --config.model.checkpoint=CHECKPOINT
    python train.py --config configs/distill.py:nano --workdir RUN --config.model.checkpoint=CHECKPOINT \
        --config.data.path=LATENTS --config.model.distill_steps=8

The name after the colon is the configuration that CHECKPOINT was trained with. RUN/export is sampled as any folder, and
knows its number of steps. Run once with 8 steps and once more with 4, from its export (``--config.model.init_from``),
to make the step smaller that is learned at once.
"""

import importlib

from ml_collections import ConfigDict


def get_config(name: str) -> ConfigDict:
    """Settings of `vp_jax.runs.run_config`: those of ``name``, for this stage."""
    module = importlib.import_module(f"vp_jax.configs.{'nano_branch' if name == 'nano' else name}")
    config: ConfigDict = module.get_config()
    config.model.update(stage="distill", distill_steps=4, distill_substeps=5)
    config.loader.update(empty_caption=0.0)
    if name == "nano":
        config.model.update(distill_guidance=3.0, injection_tokens="all")
        config.steps = 400
        config.optimizer.update(lr=2e-4, warmup=20)
        config.step.update(hole_weight=10.0, ema_decay=0.98)
        config.validation.update(every=400)
    else:
        config.steps = 4000
        config.optimizer.update(lr=1e-5, warmup=200)
        config.validation.update(steps=4, guidance=1.0)
    return config
