"""Context encoder (VideoPainter, arXiv 2503.05639 section 3.2): a light copy of the first backbone blocks.

    [noisy | masked video | mask] latents, text -> PatchEmbed -> Block -> Block ... (G of them)
                                                                  |        |
                                                                zero     zero     (D -> D, zero at the start)
                                                                  v        v
                                                               hint 0   hint 1    video tokens only

It runs on the joint sequence, with the rotary positions and the time of the backbone. `vp_jax.models.injection` adds
its hints to the background tokens of the backbone.
"""

from __future__ import annotations

from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.models.config import BranchConfig
from vp_jax.models.dit import (
    Block,
    Context,
    Extension,
    chosen,
    joint_numbers,
    maybe_remat,
    rotation_for,
    stacked_blocks,
)
from vp_jax.models.layers import PatchEmbed, SinusoidEmbedding, linear
from vp_jax.sharding import constrain


class Branch(nnx.Module):
    """The context encoder, called branch in the released files; ``cfg.dit.num_layers`` is G."""

    def __init__(self, cfg: BranchConfig, *, rngs: nnx.Rngs):
        self.cfg = cfg
        dit = cfg.dit
        self.patch_embed = PatchEmbed(dit, rngs=rngs)
        self.time_embed = SinusoidEmbedding(dit.dim, dit.time_dim, dit, rngs=rngs)
        self.blocks = stacked_blocks(dit, rngs=rngs)
        self.zero = jax.vmap(lambda r: linear(dit.dim, dit.dim, dit, rngs=r))(rngs.split(dit.num_layers))

    def joint_hints(
        self, noisy_BThwC: jax.Array, condition_BThwC: jax.Array, text_BME: jax.Array, t_B: jax.Array
    ) -> jax.Array:
        """Unscaled hints in the layout of the backbone's state (G, B, S, D); the rows of text tokens are not used.

        Args:
          noisy_BThwC: noisy latents of the backbone (16 channels).
          condition_BThwC: masked-video latents and latent mask, 1 = hole (17 channels).
          text_BME: text embeddings of width ``text_dim``.
          t_B: timesteps 0..999.
        """
        return self.hints(noisy_BThwC, condition_BThwC, text_BME, t_B, Extension())[0]

    def hints(
        self,
        noisy_BThwC: jax.Array,
        condition_BThwC: jax.Array,
        text_BME: jax.Array,
        t_B: jax.Array,
        extension: Extension,
        only_BP: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Hints of `joint_hints`, and what ``extension`` keeps of attention; of text and the tokens ``only_BP`` alone,
        (G, B, M + P, D), if they are given, see `vp_jax.models.dit.DiT`."""
        cfg = self.cfg.dit
        latents = jnp.concatenate([noisy_BThwC, condition_BThwC], axis=-1)
        chex.assert_shape(latents, (None, None, None, None, cfg.in_channels))
        dtype, text_len = jnp.dtype(cfg.dtype), text_BME.shape[1]
        x_BSD = constrain(self.patch_embed(latents.astype(dtype), text_BME.astype(dtype)), "tokens")
        table = rotation_for(cfg, latents, text_len)
        if only_BP is not None:
            x_BSD, table = chosen(x_BSD, table, joint_numbers(only_BP, text_len))
        ctx = Context(self.time_embed(t_B), table, text_len)

        def body(x_BSD: jax.Array, xs: tuple[Block, nnx.Linear, Any]) -> tuple[jax.Array, tuple[jax.Array, Any]]:
            block, zero, layer = xs
            x_BSD, kept = block.passed(x_BSD, ctx, extension, layer)
            return x_BSD, (zero(x_BSD), kept)

        given = (self.blocks, self.zero, extension.per_layer())
        hints_GBSD, kept = jax.lax.scan(maybe_remat(body, cfg), x_BSD, given)[1]
        # text rows stay: a sequence that is divided over devices need not move on its way to the backbone
        return constrain(hints_GBSD, "hints"), kept

    def __call__(
        self, noisy_BThwC: jax.Array, condition_BThwC: jax.Array, text_BME: jax.Array, t_B: jax.Array
    ) -> jax.Array:
        """Hints (G, B, N, D) of the video tokens; the arguments are those of `joint_hints`."""
        return self.joint_hints(noisy_BThwC, condition_BThwC, text_BME, t_B)[:, :, text_BME.shape[1] :]


def init_from_backbone(backbone: trees.Tree, fresh: trees.Tree, latent_channels: int) -> trees.Tree:
    """Parameters of a new context encoder: copies where the backbone has them, random elsewhere.

    The patch weights of the first ``latent_channels`` input channels go to the noisy AND to the masked-video part,
    those of the mask channel are zero, the bias is copied. Time embedding, positions and the first G blocks are copied.
    The text projection stays random; the output maps are zero (docs/model.md, "Context encoder").

    Args:
      backbone: parameters of a `DiT`.
      fresh: parameters of a newly built `Branch`; their shapes decide G.
      latent_channels: C.
    """
    layers = jax.tree.leaves(fresh["blocks"])[0].shape[0]
    kernel_VD = backbone["patch_embed"]["proj"]["kernel"]
    values = fresh["patch_embed"]["proj"]["kernel"].shape[0] // (2 * latent_channels + 1)  # per channel
    latent_VD = kernel_VD[: latent_channels * values]
    mask_VD = jnp.zeros((values, kernel_VD.shape[1]), kernel_VD.dtype)
    patch_embed = dict(fresh["patch_embed"])
    patch_embed["proj"] = {
        **backbone["patch_embed"]["proj"],
        "kernel": jnp.concatenate([latent_VD, latent_VD, mask_VD]),
    }
    if "pos_embedding" in patch_embed and "pos_embedding" in backbone["patch_embed"]:
        patch_embed["pos_embedding"] = backbone["patch_embed"]["pos_embedding"]
    return {
        "patch_embed": patch_embed,
        "time_embed": backbone["time_embed"],
        "blocks": jax.tree.map(lambda a: a[:layers], backbone["blocks"]),
        "zero": jax.tree.map(jnp.zeros_like, fresh["zero"]),
    }
