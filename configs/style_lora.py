"""A style or a domain from 5 to 100 own clips, on one GPU of 80 GB: a LoRA on the backbone.

    python train.py --config configs/style_lora.py --workdir RUN \
        --config.model.checkpoint=CONVERTED --config.data.path=CLIPS
    python sample.py --checkpoint CONVERTED --lora RUN/export/style_lora:0.8 ...
    python train.py --config configs/style_lora.py:tiny --workdir /tmp/style            the program, a minute on a CPU

CLIPS is a folder of videos, each with its caption in a text file of the same name; masks are not needed. Name the style
by the same rare word in every caption, and again in the prompt. 2,000 steps of one clip; look at the samples of
validation every 250 steps and keep the checkpoint before the clips themselves appear in them.
"""

import importlib

from ml_collections import ConfigDict


def get_config(base: str = "gpu_single") -> ConfigDict:
    """Settings of the file ``base``, such as ``gpu_single`` or ``tiny``, for a LoRA of the backbone."""
    config = importlib.import_module(f"vp_jax.configs.{base}").get_config()
    config.model.stage = "style_lora"
    config.augment.probability = 0.0
    config.step.hole_weight = 0.0
    if base != "tiny":
        config.steps = 2_000
        config.model.update(rank=16, alpha=16.0)
        config.data.kind = "folder"
        config.loader.update(batch_size=1, empty_caption=0.1)
        config.step.accumulate = 1
        config.optimizer.update(name="adamw", lr=1e-4, warmup=100, weight_decay=1e-2)
        config.checkpoints.update(every=250, keep=8)
        config.validation.update(every=250, loss_every=50, clips=1)
    return config
