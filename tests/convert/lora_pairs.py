"""The two matrices of a LoRA for one module, in the layout of diffusers."""

import numpy as np

Q = "transformer_blocks.{}.attn1.to_q"


def pair(module, inputs=3, outputs=5, rank=2, seed=0, dtype=np.float32):
    draw = np.random.default_rng(seed)
    return {
        f"{module}.lora_A.weight": draw.normal(size=(rank, inputs)).astype(dtype),
        f"{module}.lora_B.weight": draw.normal(size=(outputs, rank)).astype(dtype),
    }
