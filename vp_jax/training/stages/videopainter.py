"""Stages of training: what is trained, what is frozen. The two of VideoPainter (arXiv 2503.05639 sections 3.2, 3.3)
are here; those that make its frozen models from nothing are in `vp_jax.training.stages.scratch`.

    stage        trained                                       frozen                       starts from
    branch       context encoder                               backbone                     first backbone blocks
    id_adapter   LoRA on q, k, v, out with masked extra keys   backbone, context encoder    an adapter that does nothing

A stage says how the two trees are made, what a batch is and what the loss is; the step knows no more of models.
Position tables (`trees.Buffer`) of the trained model are frozen too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from vp_jax import trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.models import lora
from vp_jax.models.branch import init_from_backbone
from vp_jax.models.config import BranchConfig, DiTConfig, LoRAConfig, T5Config, VAEConfig
from vp_jax.models.folder import abstract, build
from vp_jax.models.id_resample import Resample, joint_mask
from vp_jax.models.injection import masked_tokens
from vp_jax.models.inpaint import InjectionSettings, predict
from vp_jax.training.encode import Encoders
from vp_jax.training.stages.denoising import Batch, Denoiser, StepKeys

TARGETS = tuple(f"blocks/attn/to_{name}" for name in ("q", "k", "v", "out"))
"""Linears of the backbone that the ID adapter changes."""

MATMUL_WEIGHTS = ("kernel", "lora_a", "lora_b")


class Weights(NamedTuple):
    """Trainable (float32) and frozen weights of a stage, as arrays or shapes."""

    trainable: trees.Tree
    frozen: trees.Tree


class Loss(Protocol):
    """A NamedTuple of (B,) parts of the loss."""

    def total(self, hole_weight: float = 1.0) -> jax.Array:
        """What is minimised (B,)."""
        ...

    def _asdict(self) -> dict[str, jax.Array]: ...


class Stage(Protocol):
    """What the step, the checkpoint and the program need of a stage; hashable."""

    @property
    def kind(self) -> str:
        """The stage's name, and that of its trained weights among the models of `start`."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """Models that `start` takes: those that are frozen."""
        ...

    def shapes(self) -> Weights:
        """Shapes and types of both trees, nothing allocated."""
        ...

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        """Both trees before the first step, from ``models``: ``backbone``, ``branch``, ``id_adapter`` ... Pure."""
        ...

    def exports(
        self, trainable: trees.Tree, frozen: trees.Tree
    ) -> Mapping[str, tuple[DiTConfig | BranchConfig | LoRAConfig | VAEConfig | T5Config, trees.Tree]]:
        """The trained models whole, with their descriptions, by the folder of a converted checkpoint."""
        ...

    def inputs(
        self, encoders: Encoders, weights: trees.Tree, batch: Mapping[str, Any], key: jax.Array
    ) -> dict[str, jax.Array]:
        """The step's batch from the loader's."""
        ...

    def draw(self, keys: StepKeys, batch: Batch, schedule: Schedule) -> Any:
        """Random numbers of a step, a pytree with a leading batch axis."""
        ...

    def loss(self, trainable: trees.Tree, frozen: trees.Tree, batch: Batch, draws: Any, schedule: Schedule) -> Loss:
        """Loss of every example; differentiate it by ``trainable``."""
        ...


@dataclasses.dataclass(frozen=True)
class BranchStage(Denoiser):
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
    def models(self) -> tuple[str, ...]:
        return ("backbone",)

    def shapes(self) -> Weights:
        weights, buffers = split_buffers(abstract(self.branch)[1], buffer_paths(self.branch))
        return Weights(float32_shapes(weights), {"backbone": abstract(self.backbone)[1], "branch": buffers})

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        branch = models.get("branch")
        if branch is None:
            channels = self.branch.dit.out_channels
            branch = init_from_backbone(models["backbone"], random_weights(self.branch, key), channels)
        weights, buffers = split_buffers(branch, buffer_paths(self.branch))
        buffers = trees.cast(buffers, jnp.dtype(self.branch.dit.param_dtype))
        return Weights(trees.cast(weights, jnp.float32), {"backbone": models["backbone"], "branch": buffers})

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> dict[str, tuple[BranchConfig, trees.Tree]]:
        return {"branch": (self.branch, self.whole(trainable, frozen))}

    def whole(self, trainable: trees.Tree, frozen: trees.Tree) -> trees.Tree:
        """The context encoder with its position table."""
        return join_buffers(trainable, frozen["branch"])

    def velocity(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Batch, t_B: jax.Array
    ) -> jax.Array:
        backbone = nnx.merge(abstract(self.backbone)[0], frozen["backbone"])
        working = compute_copy(trainable, self.branch.dit.dtype)
        branch = nnx.merge(abstract(self.branch)[0], self.whole(working, frozen))
        return predict(
            backbone,
            branch,
            x_t,
            batch.get("image_latents_BThwC"),
            _condition(batch),
            batch["text_BMD"],
            t_B,
            injection=self.injection,
        ).sample


@dataclasses.dataclass(frozen=True)
class AdapterStage(Denoiser):
    """Stage 2: the ID adapter learns; backbone and context encoder are frozen."""

    backbone: DiTConfig
    branch: BranchConfig
    lora: LoRAConfig
    injection: InjectionSettings = dataclasses.field(default_factory=InjectionSettings)

    @property
    def kind(self) -> str:
        return "id_adapter"

    @property
    def models(self) -> tuple[str, ...]:
        return "backbone", "branch"

    def shapes(self) -> Weights:
        frozen = {"backbone": abstract(self.backbone)[1], "branch": abstract(self.branch)[1]}
        adapter = jax.eval_shape(lambda: lora.init(self.lora, frozen["backbone"], jax.random.key(0)))
        return Weights(adapter, frozen)

    def start(self, models: Mapping[str, trees.Tree], key: jax.Array) -> Weights:
        adapter = models.get("id_adapter")
        if adapter is None:
            adapter = lora.init(self.lora, models["backbone"], key)
        frozen = {"backbone": models["backbone"], "branch": models["branch"]}
        return Weights(trees.cast(adapter, jnp.float32), frozen)

    def exports(self, trainable: trees.Tree, frozen: trees.Tree) -> dict[str, tuple[LoRAConfig, trees.Tree]]:
        return {"id_adapter": (self.lora, trainable)}

    def velocity(
        self, trainable: trees.Tree, frozen: trees.Tree, x_t: jax.Array, batch: Batch, t_B: jax.Array
    ) -> jax.Array:
        working = compute_copy(trainable, self.backbone.dtype)
        backbone = lora.attach(nnx.merge(abstract(self.backbone)[0], frozen["backbone"]), [(self.lora, working)])
        branch = nnx.merge(abstract(self.branch)[0], frozen["branch"])
        text = batch["text_BMD"]
        own = joint_mask(masked_tokens(batch["mask_BThw"], self.backbone.patch), text.shape[1])
        return predict(
            backbone,
            branch,
            x_t,
            batch.get("image_latents_BThwC"),
            _condition(batch),
            text,
            t_B,
            injection=self.injection,
            resample=Resample(True, own),
        ).sample


def adapter_config(rank: int = 256, alpha: float = 128.0) -> LoRAConfig:
    """The published ID adapter: scale ``alpha / rank`` = 0.5."""
    return LoRAConfig(targets=TARGETS, rank=rank, scale=alpha / rank, extra_keys=True)


def compute_copy(weights: trees.Tree, dtype: str) -> trees.Tree:
    """Weights of matmuls in the compute type, the rest (norms, biases) as it is.

    Cast here and not where they are used, sharded masters travel between chips in the compute type.
    """
    flat = trees.flatten(weights)
    return trees.unflatten(
        {path: leaf.astype(dtype) if path.rsplit("/", 1)[-1] in MATMUL_WEIGHTS else leaf for path, leaf in flat.items()}
    )


def random_weights(cfg: DiTConfig | BranchConfig, key: jax.Array) -> trees.Tree:
    """Freshly initialised weights of a backbone or context encoder."""
    return trees.split(build(cfg, nnx.Rngs(key)))[1]


@functools.lru_cache(maxsize=16)
def buffer_paths(cfg: DiTConfig | BranchConfig) -> frozenset[str]:
    """Leaves that are never trained."""
    state = nnx.state(nnx.eval_shape(lambda: build(cfg, nnx.Rngs(0))), trees.Buffer)
    return frozenset(trees.flatten(nnx.to_pure_dict(state)))


def split_buffers(tree: trees.Tree, buffers: frozenset[str]) -> tuple[trees.Tree, trees.Tree]:
    """A tree without and with only the leaves ``buffers``."""
    flat = trees.flatten(tree)
    return (
        trees.unflatten({k: v for k, v in flat.items() if k not in buffers}),
        trees.unflatten({k: v for k, v in flat.items() if k in buffers}),
    )


def join_buffers(weights: trees.Tree, buffers: trees.Tree) -> trees.Tree:
    """Inverse of `split_buffers`."""
    return trees.unflatten({**trees.flatten(weights), **trees.flatten(buffers)})


def float32_shapes(tree: trees.Tree) -> trees.Tree:
    """Shapes of the masters of ``tree``."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.float32), tree)


def _condition(batch: Batch) -> jax.Array:
    return jnp.concatenate([batch["masked_latents_BThwC"], batch["mask_BThw"][..., None]], axis=-1)
