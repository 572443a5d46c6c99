"""All stages of training: a new one is a file in this room and a line here."""

from __future__ import annotations

from collections.abc import Callable

from vp_jax.errors import UserError
from vp_jax.training.models import ModelConfig, TrainingModels
from vp_jax.training.stages.backbone import backbone_models
from vp_jax.training.stages.branch import branch_models
from vp_jax.training.stages.distill import distill_models
from vp_jax.training.stages.id_adapter import id_adapter_models
from vp_jax.training.stages.joint import joint_models
from vp_jax.training.stages.single_branch import single_branch_models
from vp_jax.training.stages.style_lora import style_lora_models
from vp_jax.training.stages.vae import vae_models

StageFactory = Callable[[ModelConfig, str | None], TrainingModels]
"""Models of a run from its settings, on a platform (``None``: this machine's). It reads descriptions at most."""

STAGES: dict[str, StageFactory] = {
    "branch": branch_models,
    "id_adapter": id_adapter_models,
    "vae": vae_models,
    "backbone": backbone_models,
    "joint": joint_models,
    "single_branch": single_branch_models,
    "distill": distill_models,
    "style_lora": style_lora_models,
}


def training_models(cfg: ModelConfig, platform: str | None = None) -> TrainingModels:
    """Descriptions of all models of a run; reads JSON at most.

    Args:
      cfg: settings of the models.
      platform: that the run computes on; default: this machine's.

    Raises:
      UserError: an unknown stage or name, or a folder that is no converted checkpoint.
    """
    if cfg.stage not in STAGES:
        raise UserError(f"stage {cfg.stage!r}: expected one of {', '.join(STAGES)}")
    return STAGES[cfg.stage](cfg, platform)
