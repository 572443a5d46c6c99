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
    muon          none                   float32        4           (arXiv 2502.16982: steps as long as those of AdamW)

Muon makes the momentum of every matrix inside a transformer's blocks orthogonal; embeddings, heads, norms and biases
take AdamW with Nesterov's momentum, 8 bytes a weight.

With ``offload`` the state of any of them waits in the host's memory between updates (`vp_jax.training.state`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from vp_jax import trees
from vp_jax.errors import UserError, check_numbers

NAMES = ("adamw", "adamw_bf16", "adafactor", "muon")


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


def block_matrices(params: trees.Tree) -> trees.Tree:
    """`optax.contrib.MuonDimensionNumbers` for each matrix inside blocks, None for all other weights.

    Args:
      params: weights; matrices of blocks have shape (blocks, in, out) and are called ``kernel``.
    """
    matrix = optax.contrib.MuonDimensionNumbers(reduction_axis=-2, output_axis=-1)

    def choose(path: tuple[Any, ...], weight: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        names = [key.key for key in path]
        return matrix if "blocks" in names and names[-1] == "kernel" and weight.ndim == 3 else None

    chosen: trees.Tree = jax.tree_util.tree_map_with_path(choose, params)
    return chosen


def make_optimizer(cfg: OptimConfig, steps: int) -> optax.GradientTransformation:
    """The complete chain: clip, precondition, decay, learning rate."""
    rate = learning_rate(cfg, steps)
    clip = optax.clip_by_global_norm(cfg.clip)
    if cfg.name == "muon":
        return optax.chain(
            clip,
            optax.contrib.muon(
                rate,
                eps=cfg.eps,
                weight_decay=cfg.weight_decay,
                consistent_rms=0.2,
                adam_b1=cfg.b1,
                adam_b2=cfg.b2,
                adam_weight_decay=cfg.weight_decay,
                muon_weight_dimension_numbers=block_matrices,
            ),
        )
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
        clip,
        precondition,
        optax.add_decayed_weights(cfg.weight_decay),
        optax.scale_by_learning_rate(rate),
    )
