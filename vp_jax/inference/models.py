"""The models of a sampling run: static descriptions on one side, arrays on the other.

`Models` is hashable and static under jit; ``params`` is a pytree ``{"backbone", "branch", "vae", "loras"}``.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import nnx

from vp_jax import trees
from vp_jax.models import lora
from vp_jax.models.branch import Branch
from vp_jax.models.config import BranchConfig, DiTConfig, LoRAConfig, VAEConfig
from vp_jax.models.dit import DiT
from vp_jax.models.folder import abstract
from vp_jax.models.vae.vae import VAE


@dataclasses.dataclass(frozen=True)
class Models:
    """Graph definitions and descriptions of backbone, context encoder, VAE and attached adapters."""

    backbone_cfg: DiTConfig
    branch_cfg: BranchConfig
    vae_cfg: VAEConfig
    loras: tuple[LoRAConfig, ...] = ()
    graphs: tuple[nnx.GraphDef, nnx.GraphDef, nnx.GraphDef] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "graphs", tuple(graph for graph, _ in self.abstract().values()))

    def abstract(self) -> dict[str, tuple[nnx.GraphDef, trees.Tree]]:
        """Graph definition and shapes of ``backbone``, ``branch`` and ``vae``."""
        return {
            "backbone": abstract(self.backbone_cfg),
            "branch": abstract(self.branch_cfg),
            "vae": abstract(self.vae_cfg),
        }

    @property
    def has_id_adapter(self) -> bool:
        """One of the adapters brings the extra keys of ID resampling."""
        return any(cfg.extra_keys for cfg in self.loras)

    @property
    def takes_image(self) -> bool:
        """The backbone is conditioned on an image (I2V)."""
        channels = self.vae_cfg.latent_channels
        return self.backbone_cfg.in_channels in (2 * channels, 3 * channels + 1)  # the latter: single-branch ablation

    def backbone(self, params: dict[str, Any]) -> DiT:
        """The backbone with every adapter attached."""
        return lora.attach(nnx.merge(self.graphs[0], params["backbone"]), list(zip(self.loras, params["loras"])))

    def branch(self, params: dict[str, Any]) -> Branch:
        """The context encoder."""
        return nnx.merge(self.graphs[1], params["branch"])

    def vae(self, params: dict[str, Any]) -> VAE:
        """The video autoencoder."""
        return nnx.merge(self.graphs[2], params["vae"])
