"""Optimizer and learning rate of training (published recipe: paper section 4.1; training arguments of the reference).

    rate(i) = peak * i / warmup                                          i < warmup
            = peak                                                       warmup <= i < hold
            = end + (peak - end) (1 + cos(pi (i - hold) / (stretch * steps - hold))) / 2

Cosine decay begins after warm-up (hold = warmup), or with ``decay`` below 1 in the last share of the run, hold = (1 -
decay) * stretch * steps: until then nothing depends on the run's length, which may be changed on the way (arXiv
2404.06395, section 4). Gradients are clipped by their global norm, then AdamW. ``cosine_stretch`` 8 repeats the
reference, whose scheduler runs 8 times too slowly on 8 GPUs and ends at 0.96 of the peak; the default 1 reaches the
end.

    name          second moment          first moment   bytes of state per weight
    adamw         float32                float32        8
    adamw_bf16    float32                bfloat16       6
    adafactor     rows and columns       bfloat16       2           (arXiv 1804.04235, without its parameter scaling)

With ``offload`` the state of any of them waits in the host's memory between updates (`vp_jax.training.state`).
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import optax

from vp_jax.errors import UserError, check_numbers

NAMES = ("adamw", "adamw_bf16", "adafactor")


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """Optimizer settings; see the module for ``name``, ``offload`` and the schedule."""

    name: str = "adamw"
    lr: float = 1e-5
    end_lr: float = 0.0
    warmup: int = 1000
    cosine_stretch: float = 1.0
    decay: float = 1.0
    b1: float = 0.9
    b2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 1e-4
    clip: float = 1.0
    offload: bool = False

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise UserError(f"optimizer {self.name!r}: expected one of {', '.join(NAMES)}")
        check_numbers(self, "lr clip eps", above=True)
        check_numbers(self, "end_lr", 0, self.lr)
        check_numbers(self, "warmup weight_decay")
        check_numbers(self, "cosine_stretch", 1)
        check_numbers(self, "decay", 0, 1)
        for name in ("b1", "b2"):
            if not 0 <= (value := getattr(self, name)) < 1:
                raise UserError(f"{name} {value}: expected 0 or more, below 1")


def learning_rate(cfg: OptimConfig, steps: int) -> optax.Schedule:
    """Rate by step, for a run of ``steps``."""
    end = max(int(cfg.cosine_stretch * steps), cfg.warmup + 1)
    hold = max(cfg.warmup, int((1 - cfg.decay) * end))
    parts = (
        optax.linear_schedule(0.0, cfg.lr, cfg.warmup),
        optax.constant_schedule(cfg.lr),
        optax.cosine_decay_schedule(cfg.lr, max(end - hold, 1), cfg.end_lr / cfg.lr),
    )
    return optax.join_schedules(parts, [cfg.warmup, hold])


def make_optimizer(cfg: OptimConfig, steps: int) -> optax.GradientTransformation:
    """The complete chain: clip, precondition, decay, learning rate."""
    rate = learning_rate(cfg, steps)
    if cfg.name == "adafactor":
        precondition = optax.chain(
            optax.scale_by_factored_rms(),
            optax.clip_by_block_rms(1.0),
            optax.ema(cfg.b1, accumulator_dtype=jnp.bfloat16),
        )
    else:
        first = jnp.bfloat16 if cfg.name == "adamw_bf16" else jnp.float32
        precondition = optax.scale_by_adam(cfg.b1, cfg.b2, cfg.eps, mu_dtype=first)
    return optax.chain(
        optax.clip_by_global_norm(cfg.clip),
        precondition,
        optax.add_decayed_weights(cfg.weight_decay),
        optax.scale_by_learning_rate(rate),
    )
