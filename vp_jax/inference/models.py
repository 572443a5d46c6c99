"""The models of a sampling run: static descriptions on one side, arrays on the other.

`Models` is hashable and static under jit; `Params` is a pytree.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NotRequired, TypedDict

from flax import nnx

from vp_jax import trees
from vp_jax.models import lora
from vp_jax.models.branch import Branch
from vp_jax.models.config import BranchConfig, DiTConfig, LoRAConfig, VAEConfig
from vp_jax.models.dit import DiT
from vp_jax.models.folder import abstract_model
from vp_jax.models.inpaint_channels import InpaintKind, inpaint_kind
from vp_jax.models.vae.vae import VAE


class Params(TypedDict):
    """Weights of `Models`, by part; ``loras`` in the order of `Models.loras`, no ``branch`` where they have none."""

    backbone: trees.Tree
    branch: NotRequired[trees.Tree]
    vae: trees.Tree
    loras: list[trees.Tree]


@dataclasses.dataclass(frozen=True)
class Models:
    """Graph definitions and descriptions of backbone, context encoder, VAE and attached adapters.

    ``branch_cfg`` is ``None`` where the backbone takes the mask among its input channels (`inpaint_kind`).
    """

    backbone_cfg: DiTConfig
    branch_cfg: BranchConfig | None
    vae_cfg: VAEConfig
    loras: tuple[LoRAConfig, ...] = ()
    graphs: tuple[nnx.GraphDef[Any], ...] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "graphs", tuple(graph for graph, _ in self.abstract().values()))

    def abstract(self) -> dict[str, tuple[nnx.GraphDef[Any], trees.Tree]]:
        """Graph definition and shapes of ``backbone``, ``branch``, if there is one, and ``vae``."""
        branch = {} if self.branch_cfg is None else {"branch": abstract_model(self.branch_cfg)}
        return {"backbone": abstract_model(self.backbone_cfg), **branch, "vae": abstract_model(self.vae_cfg)}

    @property
    def inpaint_kind(self) -> InpaintKind | None:
        """Which mask and video the backbone takes among its input channels; ``None``: a context encoder reads them."""
        return None if self.branch_cfg is not None else inpaint_kind(self.backbone_cfg)

    @property
    def has_id_adapter(self) -> bool:
        """One of the adapters brings the extra keys of ID resampling."""
        return any(cfg.extra_keys for cfg in self.loras)

    @property
    def takes_image(self) -> bool:
        """The backbone is conditioned on an image (I2V)."""
        channels = self.vae_cfg.latent_channels
        condition = channels + 1 if self.backbone_cfg.takes_condition else 0
        return self.backbone_cfg.in_channels - condition == 2 * channels

    def backbone(self, params: Params) -> DiT:
        """The backbone with every adapter attached."""
        plain: DiT = nnx.merge(self.graphs[0], params["backbone"])
        return lora.attach(plain, list(zip(self.loras, params["loras"])))

    def branch(self, params: Params) -> Branch:
        """The context encoder of models that have one."""
        merged: Branch = nnx.merge(self.graphs[1], params["branch"])
        return merged

    def vae(self, params: Params) -> VAE:
        """The video autoencoder."""
        merged: VAE = nnx.merge(self.graphs[-1], params["vae"])
        return merged
