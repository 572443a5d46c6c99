"""CogVideoX diffusion transformer (arXiv 2408.06072 section 2.2), all published variants.

    latents, text -> PatchEmbed -> [ Block ]*L (scanned) -> LayerNorm -> modulated head -> latents
                                       ^
                                   Extension

A block applies, to the joint text-video sequence x and time embedding e:

    y, g = norm1(x, e);  x = x + g * attention(y)          (full attention, rotary q and k)
    y, g = norm2(x, e);  x = x + g * feed_forward(y)

The backbone knows nothing of VideoPainter. Injected hints, extra keys and recorded states are each an `Extension`, its
single opening.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax.errors import UserError
from vp_jax.models import rope
from vp_jax.models.attention import SAVED, attend
from vp_jax.models.config import REMAT, DiTConfig
from vp_jax.models.layers import (
    FeedForward,
    ModulatedNorm,
    PatchEmbed,
    SinusoidEmbedding,
    block_linear,
    layer_norm,
    linear,
    unpatchify,
)
from vp_jax.sharding import constrain


class Attention(nnx.Module):
    """Joint attention with normalised, rotated queries and keys. Its parts are public, for use by an `Extension`."""

    def __init__(self, cfg: DiTConfig, *, rngs: nnx.Rngs):
        self.cfg = cfg
        self.to_q = block_linear(cfg.dim, cfg.dim, cfg, rngs=rngs)
        self.to_k = block_linear(cfg.dim, cfg.dim, cfg, rngs=rngs)
        self.to_v = block_linear(cfg.dim, cfg.dim, cfg, rngs=rngs)
        self.to_out = block_linear(cfg.dim, cfg.dim, cfg, rngs=rngs)
        self.norm_q = layer_norm(cfg.head_dim, 1e-6, cfg, rngs=rngs)
        self.norm_k = layer_norm(cfg.head_dim, 1e-6, cfg, rngs=rngs)

    def _finish(self, x_BSKA: jax.Array, norm: nnx.LayerNorm, table: rope.Rotation | None) -> jax.Array:
        normed = norm(x_BSKA)
        return (normed if table is None else rope.rotate(normed, table)).astype(x_BSKA.dtype)

    def _heads(self, x_BSD: jax.Array) -> jax.Array:
        return x_BSD.reshape(*x_BSD.shape[:2], self.cfg.num_heads, self.cfg.head_dim)

    def queries(self, y_BSD: jax.Array, table: rope.Rotation | None) -> jax.Array:
        """Normalised, rotated queries (B, S, K, A)."""
        return self._finish(self._heads(self.to_q(y_BSD)), self.norm_q, table)

    def raw_keys_values(self, y_BSD: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Projected keys and values (B, S, K, A), before the key norm."""
        return self._heads(self.to_k(y_BSD)), self._heads(self.to_v(y_BSD))

    def finish_keys(self, k_BSKA: jax.Array, table: rope.Rotation | None) -> jax.Array:
        """Apply key norm and rotation to projected keys (B, S, K, A)."""
        return self._finish(k_BSKA, self.norm_k, table)

    def attend(self, q_BSKA: jax.Array, k_BSKA: jax.Array, v_BSKA: jax.Array) -> jax.Array:
        """Attention (B, S, K, A) of finished queries, before the output projection."""
        return attend(q_BSKA, k_BSKA, v_BSKA, backend=self.cfg.attention)

    def project_out(self, o_BSKA: jax.Array) -> jax.Array:
        """Output projection (B, S, D)."""
        return self.to_out(o_BSKA.reshape(*o_BSKA.shape[:2], self.cfg.dim))

    @jax.named_scope("attention")
    def __call__(self, y_BSD: jax.Array, table: rope.Rotation | None) -> jax.Array:
        """Attention of a modulated input (B, S, D), with output projection."""
        k, v = self.raw_keys_values(y_BSD)
        return self.project_out(self.attend(self.queries(y_BSD, table), self.finish_keys(k, table), v))


class Context(NamedTuple):
    """Values that all blocks of one forward pass share.

    Attributes:
      emb_BE: time embedding.
      table: rotation of the joint sequence, ``None`` without rotary positions.
      text_len: M.
    """

    emb_BE: jax.Array
    table: rope.Rotation | None
    text_len: int


class Extension:
    """Hooks around each block; this base class adds nothing.

    Subclasses hold arrays, which the scan closes over, and override the hooks that they need.
    """

    def per_layer(self) -> Any:
        """Pytree with a leading layer axis; its slice for a block is the argument ``layer`` of the other hooks."""
        return None

    def attention(self, layer: Any, block: Block, y_BSD: jax.Array, ctx: Context) -> jax.Array:
        """Attention of ``block`` on its modulated input, with output projection (B, S, D)."""
        return block.attn(y_BSD, ctx.table)

    def attended(self, layer: Any, block: Block, y_BSD: jax.Array, ctx: Context) -> tuple[jax.Array, Any]:
        """`attention`, and a value to keep of it; stacked over layers in `DiTOutput.kept`."""
        return self.attention(layer, block, y_BSD, ctx), None

    def after_block(self, layer: Any, x_BSD: jax.Array) -> jax.Array:
        """Joint state after the block (B, S, D)."""
        return x_BSD

    def record(self, layer: Any, x_BSD: jax.Array) -> Any:
        """Value to record of the state after the block; stacked over layers in `DiTOutput.recorded`."""
        return None


class Block(nnx.Module):
    """One transformer block: modulated attention, modulated feed-forward."""

    def __init__(self, cfg: DiTConfig, *, rngs: nnx.Rngs):
        self.norm1 = ModulatedNorm(cfg, rngs=rngs)
        self.attn = Attention(cfg, rngs=rngs)
        self.norm2 = ModulatedNorm(cfg, rngs=rngs)
        self.ff = FeedForward(cfg, rngs=rngs)

    def __call__(self, x_BSD: jax.Array, ctx: Context, extension: Extension, layer: Any = None) -> jax.Array:
        """Joint state (B, S, D) after the block."""
        return self.passed(x_BSD, ctx, extension, layer)[0]

    @jax.named_scope("block")
    def passed(self, x_BSD: jax.Array, ctx: Context, extension: Extension, layer: Any) -> tuple[jax.Array, Any]:
        """Joint state (B, S, D) after the block, and what the extension keeps of its attention."""
        y, gate = self.norm1(x_BSD, ctx.emb_BE, ctx.text_len)
        attended_BSD, kept = extension.attended(layer, self, y, ctx)
        x_BSD = (x_BSD + gate * constrain(attended_BSD, "tokens")).astype(x_BSD.dtype)
        y, gate = self.norm2(x_BSD, ctx.emb_BE, ctx.text_len)
        return constrain((x_BSD + gate * self.ff(y)).astype(x_BSD.dtype), "tokens"), kept


class DiTOutput(NamedTuple):
    """Result of the backbone.

    Attributes:
      sample: predicted velocity (B, T, h, w, C).
      recorded: values that the extension recorded, with a leading axis L.
      kept: values that the extension kept of attention, with a leading axis L.
    """

    sample: jax.Array
    recorded: Any
    kept: Any = None


def stacked_blocks(cfg: DiTConfig, *, rngs: nnx.Rngs) -> Block:
    """``num_layers`` blocks as one module whose leaves have a leading layer axis."""
    return jax.vmap(lambda r: Block(cfg, rngs=r))(rngs.split(cfg.num_layers))


def rotation_for(cfg: DiTConfig, latents_BThwC: jax.Array, text_len: int) -> rope.Rotation | None:
    """Rotation table for ``text_len`` text tokens and these latents; ``None`` for models without rotary positions."""
    if not cfg.rope:
        return None
    _, T, h, w, _ = latents_BThwC.shape
    return rope.rotation(
        T // (cfg.patch_t or 1), h // cfg.patch, w // cfg.patch, cfg.head_dim, text_len, stretch=cfg.patch_t is None
    )


def joint_numbers(numbers_BP: jax.Array, text_len: int) -> jax.Array:
    """Numbers in the joint sequence of all text tokens and of these video tokens, (B, M + P)."""
    front_BM = jnp.broadcast_to(jnp.arange(text_len, dtype=numbers_BP.dtype), (len(numbers_BP), text_len))
    return jnp.concatenate([front_BM, text_len + numbers_BP], axis=1)


def chosen(
    x_BSD: jax.Array, table: rope.Rotation | None, numbers_BP: jax.Array
) -> tuple[jax.Array, rope.Rotation | None]:
    """State (B, P, D) and rotation of these tokens of the joint sequence, of the last one for a number behind it."""
    x_BPD = jnp.take_along_axis(x_BSD, numbers_BP[:, :, None], axis=1, mode="clip")
    return x_BPD, None if table is None else rope.rotation_at(table, numbers_BP)


def maybe_remat(body: Any, cfg: DiTConfig) -> Any:
    """Rematerialise ``body`` of a scan by the policy ``cfg.remat``, if there is one.

    Raises:
      UserError: an unknown policy.
    """
    if not cfg.remat:
        return body
    if cfg.remat == "save_attention":
        policy = jax.checkpoint_policies.save_only_these_names(SAVED)
    elif cfg.remat == "save_attention_and_products":
        policies = jax.checkpoint_policies
        policy = policies.save_from_both_policies(policies.dots_saveable, policies.save_only_these_names(SAVED))
    elif cfg.remat == "offload_attention":
        policy = jax.checkpoint_policies.save_and_offload_only_these_names(
            names_which_can_be_saved=[],
            names_which_can_be_offloaded=[SAVED],
            offload_src="device",
            offload_dst="pinned_host",
        )
    elif cfg.remat in REMAT:
        policy = getattr(jax.checkpoint_policies, cfg.remat)
    else:
        raise UserError(f"remat {cfg.remat!r}: expected one of {', '.join(REMAT)}, or '' for none")
    return jax.checkpoint(body, policy=policy, prevent_cse=False)


class DiT(nnx.Module):
    """The backbone. Its latents have their channels already concatenated ([noisy | image] for I2V)."""

    def __init__(self, cfg: DiTConfig, *, rngs: nnx.Rngs):
        self.cfg = cfg
        self.patch_embed = PatchEmbed(cfg, rngs=rngs)
        self.time_embed = SinusoidEmbedding(cfg.dim, cfg.time_dim, cfg, rngs=rngs)
        if cfg.ofs_dim:
            self.ofs_embed = SinusoidEmbedding(cfg.ofs_dim, cfg.ofs_dim, cfg, rngs=rngs)
        self.blocks = stacked_blocks(cfg, rngs=rngs)
        self.norm_final = layer_norm(cfg.dim, cfg.norm_eps, cfg, rngs=rngs)
        self.norm_out = OutputNorm(cfg, rngs=rngs)
        self.proj_out = linear(cfg.dim, cfg.out_channels * (cfg.patch_t or 1) * cfg.patch**2, cfg, rngs=rngs)

    def __call__(
        self,
        latents_BThwC: jax.Array,
        text_BME: jax.Array,
        t_B: jax.Array,
        *,
        extension: Extension | None = None,
        ofs_B: jax.Array | None = None,
        only_BP: jax.Array | None = None,
    ) -> DiTOutput:
        """Predict the velocity.

        Args:
          latents_BThwC: latents with ``in_channels`` channels, h and w even (T even for CogVideoX 1.5).
          text_BME: text embeddings of width ``text_dim``.
          t_B: timesteps 0..999.
          extension: hooks around the blocks.
          ofs_B: ofs value of each example, or one for all; CogVideoX 1.5 I2V requires it (2.0 in the released
            pipeline).
          only_BP: numbers of video tokens, int32, N for none: these and the text alone go through blocks and head, in
            this order. The velocity of the other tokens is 0.
        """
        cfg, extension = self.cfg, extension or Extension()
        chex.assert_shape(latents_BThwC, (None, None, None, None, cfg.in_channels))
        chex.assert_shape(text_BME, (latents_BThwC.shape[0], None, cfg.text_dim))
        _, T, h, w, _ = latents_BThwC.shape
        dtype, text_len = jnp.dtype(cfg.dtype), text_BME.shape[1]

        emb_BE = self.time_embed(t_B)
        if cfg.ofs_dim:
            if ofs_B is None:
                raise ValueError("this model embeds an ofs value: pass ofs_B (2.0 in the released pipeline)")
            emb_BE = emb_BE + jnp.broadcast_to(self.ofs_embed(ofs_B), emb_BE.shape)
        x_BSD = constrain(self.patch_embed(latents_BThwC.astype(dtype), text_BME.astype(dtype)), "tokens")
        table, length = rotation_for(cfg, latents_BThwC, text_len), x_BSD.shape[1]
        if only_BP is not None:
            x_BSD, table = chosen(x_BSD, table, joint_numbers(only_BP, text_len))
        ctx = Context(emb_BE, table, text_len)

        def body(x_BSD: jax.Array, xs: tuple[Block, Any]) -> tuple[jax.Array, Any]:
            block, layer = xs
            if cfg.weights == "host":
                block = jax.device_put(block, jax.memory.Space.Device)
            x_BSD, kept = block.passed(x_BSD, ctx, extension, layer)
            x_BSD = constrain(extension.after_block(layer, x_BSD), "tokens")
            return x_BSD, (extension.record(layer, x_BSD), kept)

        x_BSD, (recorded, kept) = jax.lax.scan(maybe_remat(body, cfg), x_BSD, (self.blocks, extension.per_layer()))

        # cutting off the text moves tokens between devices: after the head they have 48 times fewer values
        y_BSV = self.proj_out(self.norm_out(self.norm_final(x_BSD), emb_BE).astype(dtype))
        y_BNV = y_BSV[:, text_len:]
        if only_BP is not None:
            every_BNV = jnp.zeros((len(y_BNV), length - text_len, y_BNV.shape[2]), y_BNV.dtype)
            y_BNV = every_BNV.at[jnp.arange(len(y_BNV))[:, None], only_BP].set(y_BNV, mode="drop")
        return DiTOutput(constrain(unpatchify(y_BNV, T, h, w, cfg), "latents"), recorded, kept)


class OutputNorm(nnx.Module):
    """``LayerNorm(x) * (1 + scale) + shift``; shift and scale, in this order, come from the time embedding."""

    def __init__(self, cfg: DiTConfig, *, rngs: nnx.Rngs):
        self.linear = linear(cfg.time_dim, 2 * cfg.dim, cfg, rngs=rngs)
        self.norm = layer_norm(cfg.dim, cfg.norm_eps, cfg, rngs=rngs)

    def __call__(self, x_BSD: jax.Array, emb_BE: jax.Array) -> jax.Array:
        """Normalised, scaled and shifted input (B, S, D), float32."""
        rows = constrain(self.linear(nnx.silu(emb_BE)), "vectors")
        shift, scale = jnp.split(rows.astype(jnp.float32), 2, axis=-1)
        result: jax.Array = self.norm(x_BSD) * (1.0 + scale[:, None]) + shift[:, None]
        return result
