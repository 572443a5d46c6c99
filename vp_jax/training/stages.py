"""The two stages of VideoPainter's training (arXiv 2503.05639 sections 3.2, 3.3): what is trained, what is frozen.

    stage        trained                                       frozen                       starts from
    branch       context encoder                               backbone                     first backbone blocks
    id_adapter   LoRA on q, k, v, out with masked extra keys   backbone, context encoder    an adapter that does nothing

A stage says how the two trees are made and how they predict a velocity; the step knows no more of models than this.
Position tables (`trees.Buffer`) of the trained model are frozen too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.models import lora
from vp_jax.models.branch import Branch, init_from_backbone
from vp_jax.models.config import BranchConfig, DiTConfig, LoRAConfig
from vp_jax.models.dit import DiT
from vp_jax.models.id_resample import Resample, joint_mask
from vp_jax.models.injection import masked_tokens
from vp_jax.models.inpaint import InjectionSettings, predict

Batch = Mapping[str, jax.Array]
"""What a step trains on, all float, latents scaled as the transformer sees them:

``latents_BThwC`` clean video, ``masked_latents_BThwC`` the video with black holes, ``mask_BThw`` 1 = hole,
``text_BMD`` embeddings and, for I2V backbones, ``image_latents_BThwC``: the first frame followed by zeros (all zeros
where the image is dropped).
"""

TARGETS = tuple(f"blocks/attn/to_{name}" for name in ("q", "k", "v", "out"))
"""Linears of the backbone that the ID adapter changes."""

MATMUL_WEIGHTS = ("kernel", "lora_a", "lora_b")


class Weights(NamedTuple):
    """Trainable (float32) and frozen weights of a stage, as arrays or shapes."""

    trainable: trees.Tree
    frozen: trees.Tree


class Stage(Protocol):
    """What the step, the checkpoint and the program need of a stage; hashable."""

    @property
    def kind(self) -> str:
        """Folder that the trained weights have in a converted checkpoint: ``branch`` or ``id_adapter``."""
        ...

    @property
    def trained_config(self) -> BranchConfig | LoRAConfig:
        """Description of the trained model."""
        ...

    def shapes(self) -> Weights:
        """Shapes and types of both trees, nothing allocated."""
        ...

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """Both trees before the first step, from ``models``: ``backbone``, ``branch``, ``id_adapter``. Pure."""
        ...

    def export(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The trained model whole, as a converted checkpoint stores it."""
        ...

    def velocity(self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Batch,
                 t_B: jax.Array) -> jax.Array:
        """Predicted velocity (B, T, h, w, C)."""
        ...


@dataclasses.dataclass(frozen=True)
class BranchStage:
    """Stage 1: the context encoder learns, the backbone is frozen.

    ``models["branch"]``, if given to `start`, is continued from; otherwise the encoder is the first backbone blocks.
    """

    backbone: DiTConfig
    branch: BranchConfig
    injection: InjectionSettings = dataclasses.field(default_factory=InjectionSettings)

    @property
    def kind(self) -> str:
        return "branch"

    @property
    def trained_config(self) -> BranchConfig:
        return self.branch

    def shapes(self) -> Weights:
        weights, buffers = _split_buffers(_graph(self.branch)[1], _buffer_paths(self.branch))
        return Weights(_float32_shapes(weights), {"backbone": _graph(self.backbone)[1], "branch": buffers})

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        branch = models.get("branch")
        if branch is None:
            channels = self.branch.dit.out_channels
            branch = init_from_backbone(models["backbone"], random_weights(self.branch, key), channels)
        weights, buffers = _split_buffers(branch, _buffer_paths(self.branch))
        buffers = trees.cast(buffers, jnp.dtype(self.branch.dit.param_dtype))
        return Weights(trees.cast(weights, jnp.float32), {"backbone": models["backbone"], "branch": buffers})

    def export(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        return trees.unflatten({**trees.flatten(trainable), **trees.flatten(frozen["branch"])})

    def velocity(self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Batch,
                 t_B: jax.Array) -> jax.Array:
        backbone = nnx.merge(_graph(self.backbone)[0], frozen["backbone"])
        working = compute_copy(trainable, self.branch.dit.dtype)
        branch = nnx.merge(_graph(self.branch)[0], self.export(working, frozen))
        return predict(backbone, branch, x_t, batch.get("image_latents_BThwC"), _condition(batch), batch["text_BMD"],
                       t_B, injection=self.injection).sample


@dataclasses.dataclass(frozen=True)
class AdapterStage:
    """Stage 2: the ID adapter learns; backbone and context encoder are frozen."""

    backbone: DiTConfig
    branch: BranchConfig
    lora: LoRAConfig
    injection: InjectionSettings = dataclasses.field(default_factory=InjectionSettings)

    @property
    def kind(self) -> str:
        return "id_adapter"

    @property
    def trained_config(self) -> LoRAConfig:
        return self.lora

    def shapes(self) -> Weights:
        frozen = {"backbone": _graph(self.backbone)[1], "branch": _graph(self.branch)[1]}
        adapter = jax.eval_shape(lambda: lora.init(self.lora, frozen["backbone"], jax.random.key(0)))
        return Weights(adapter, frozen)

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        adapter = models.get("id_adapter")
        if adapter is None:
            adapter = lora.init(self.lora, models["backbone"], key)
        frozen = {"backbone": models["backbone"], "branch": models["branch"]}
        return Weights(trees.cast(adapter, jnp.float32), frozen)

    def export(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        return trainable

    def velocity(self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Batch,
                 t_B: jax.Array) -> jax.Array:
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = lora.attach(nnx.merge(_graph(self.backbone)[0], frozen["backbone"]), [(self.lora, working)])
        branch = nnx.merge(_graph(self.branch)[0], frozen["branch"])
        text = batch["text_BMD"]
        own = joint_mask(masked_tokens(batch["mask_BThw"], self.backbone.patch), text.shape[1])
        return predict(backbone, branch, x_t, batch.get("image_latents_BThwC"), _condition(batch), text, t_B,
                       injection=self.injection, resample=Resample(True, own)).sample


def adapter_config(rank: int = 256, alpha: float = 128.0) -> LoRAConfig:
    """The published ID adapter: scale ``alpha / rank`` = 0.5."""
    return LoRAConfig(targets=TARGETS, rank=rank, scale=alpha / rank, extra_keys=True)


def compute_copy(weights: trees.Tree, dtype: str) -> trees.Tree:
    """Weights of matmuls in the compute type, the rest (norms, biases) as it is.

    Cast here and not where they are used, sharded masters travel between chips in the compute type.
    """
    flat = trees.flatten(weights)
    return trees.unflatten({path: leaf.astype(dtype) if path.rsplit("/", 1)[-1] in MATMUL_WEIGHTS else leaf
                            for path, leaf in flat.items()})


def random_weights(cfg: DiTConfig | BranchConfig, key: jax.Array) -> trees.Tree:
    """Freshly initialised weights of a backbone or context encoder."""
    return trees.split(_build(cfg, nnx.Rngs(key)))[1]


def _build(cfg: DiTConfig | BranchConfig, rngs: nnx.Rngs) -> nnx.Module:
    return Branch(cfg, rngs=rngs) if isinstance(cfg, BranchConfig) else DiT(cfg, rngs=rngs)


@functools.lru_cache(maxsize=16)
def _graph(cfg: DiTConfig | BranchConfig) -> tuple[nnx.GraphDef, trees.Tree]:
    return trees.abstract(lambda: _build(cfg, nnx.Rngs(0)))


@functools.lru_cache(maxsize=16)
def _buffer_paths(cfg: DiTConfig | BranchConfig) -> frozenset[str]:
    state = nnx.state(nnx.eval_shape(lambda: _build(cfg, nnx.Rngs(0))), trees.Buffer)
    return frozenset(trees.flatten(nnx.to_pure_dict(state)))


def _split_buffers(tree: trees.Tree, buffers: frozenset[str]) -> tuple[trees.Tree, trees.Tree]:
    flat = trees.flatten(tree)
    return (trees.unflatten({k: v for k, v in flat.items() if k not in buffers}),
            trees.unflatten({k: v for k, v in flat.items() if k in buffers}))


def _float32_shapes(tree: trees.Tree) -> trees.Tree:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float32), tree)


def _condition(batch: Batch) -> jax.Array:
    return jnp.concatenate([batch["masked_latents_BThwC"], batch["mask_BThw"][..., None]], axis=-1)
