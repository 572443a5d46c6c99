"""A context encoder that says nothing, for backbones that fill holes alone."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from vp_jax import trees
from vp_jax.models.branch import init_from_backbone
from vp_jax.models.config import BranchConfig, DiTConfig
from vp_jax.models.folder import abstract_model


def silent_branch(backbone: DiTConfig) -> BranchConfig:
    """Context encoder of one layer for a backbone that has none: with `silent_weights` its hints are zero."""
    channels = 2 * backbone.out_channels + 1
    dit = dataclasses.replace(backbone, num_layers=1, remat="", in_channels=channels, takes_condition=False)
    return BranchConfig(dit)


def silent_weights(cfg: DiTConfig, backbone: trees.Tree) -> trees.Tree:
    """Weights of `silent_branch`: its outputs are zero."""
    fresh = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), abstract_model(silent_branch(cfg))[1])
    return init_from_backbone(backbone, fresh, cfg.out_channels)
