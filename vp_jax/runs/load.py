"""Models of a run: descriptions and starting weights, from a converted checkpoint or made at random by name."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vp_jax import checkpoint, sharding, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.digests import record_files
from vp_jax.errors import UserError, check_numbers
from vp_jax.files import replace_parts
from vp_jax.models import config
from vp_jax.models.attention import choose
from vp_jax.models.dit import REMAT
from vp_jax.models.folder import (
    AUTOENCODER,
    BACKBONE,
    BRANCH,
    PARTS,
    TEXT_ENCODER,
    CheckpointFolder,
    abstract,
    read_description,
)
from vp_jax.models.inpaint import InjectionSettings
from vp_jax.models.variants import Variant, variant
from vp_jax.runs import hosts
from vp_jax.shapes import TEMPORAL_STRIDE
from vp_jax.training.encode import Encoders
from vp_jax.training.stages.scratch import BackboneStage, VAEStage, latent_std
from vp_jax.training.stages.single_branch import SingleBranchStage, widened
from vp_jax.training.stages.videopainter import AdapterStage, BranchStage, Weights, adapter_config

Stage = BranchStage | AdapterStage | VAEStage | BackboneStage | SingleBranchStage
STAGES = ("branch", "id_adapter", "vae", "backbone", "single_branch")


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which models a run uses and how they compute.

    Attributes:
      stage: ``branch`` or ``id_adapter``; ``vae`` or ``backbone`` make the models that those two take as given;
        ``single_branch`` is the ablation without a context encoder.
      checkpoint: folder made by ``python -m convert all``; empty: random weights of ``name``. The backbone stage takes
        the VAE from it and nothing else, the VAE stage nothing.
      name: of `vp_jax.models.variants`.
      init_from: folder of a trained model to continue from (``branch/``, ``id_adapter/`` or ``vae/`` of an export; of
        the backbone stage the export itself, for ``transformer/`` and ``text_encoder/``); empty: the first backbone
        blocks, an adapter that does nothing, or a VAE and a backbone made at random.
      tokenizer: sentencepiece file of the backbone stage; the others take that of ``checkpoint``.
      branch_layers: of a fresh context encoder.
      injection_tokens: which tokens get its hints, ``background``, or for ablations ``partial`` or ``all``.
      rank, alpha: of a fresh adapter.
      dtype: of computation and of frozen weights.
      attention: see `vp_jax.models.attention`; empty: the fastest that is there.
      remat, branch_remat: of `vp_jax.models.dit.REMAT`, or empty, for backbone and context encoder.
      vae_slicing: one clip after another through the VAE.
      kl_weight, vae_crop: of the VAE stage, see `vp_jax.training.stages.scratch.VAEStage`.
    """

    stage: str = "branch"
    checkpoint: str = ""
    name: str = "cogvideox-5b-i2v"
    init_from: str = ""
    tokenizer: str = ""
    branch_layers: int = 2
    injection_tokens: config.HintTokens = "background"
    rank: int = 256
    alpha: float = 128.0
    dtype: str = "bfloat16"
    attention: str = ""
    remat: str = "nothing_saveable"
    branch_remat: str = "nothing_saveable"
    vae_slicing: bool = False
    kl_weight: float = 1e-4
    vae_crop: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise UserError(f"stage {self.stage!r}: expected one of {', '.join(STAGES)}")
        if self.stage == "single_branch" and self.init_from:
            raise UserError("the single_branch stage starts from the checkpoint's backbone: leave init_from out")
        if self.injection_tokens not in (known := get_args(config.HintTokens)):
            raise UserError(f"injection_tokens {self.injection_tokens!r}: expected one of {', '.join(known)}")
        if self.dtype not in ("bfloat16", "float32"):
            raise UserError(f"dtype {self.dtype!r}: expected bfloat16 or float32")
        for name in (self.remat, self.branch_remat):
            if name and name not in REMAT:
                raise UserError(f"remat {name!r}: expected one of {', '.join(REMAT)}, or nothing")
        check_numbers(self, "branch_layers rank", 1)
        check_numbers(self, "alpha", above=True)
        check_numbers(self, "kl_weight")
        if len(self.vae_crop) != 2 or min(self.vae_crop) < 0:
            raise UserError(f"vae_crop {self.vae_crop}: expected rows and columns, (0, 0) for whole pictures")


@dataclasses.dataclass(frozen=True)
class Described:
    """Static side of a run's models.

    Attributes:
      stage, schedule: of training.
      encoders: in front of the step; the VAE stage has none.
      text_len: tokens of a caption.
    """

    stage: Stage
    encoders: Encoders
    schedule: Schedule
    text_len: int


def describe(cfg: ModelConfig, platform: str | None = None) -> Described:
    """Descriptions of all models of a run on ``platform`` (default: this machine's); reads JSON at most.

    Raises:
      UserError: unknown name, or a folder that is no converted checkpoint.
    """
    models, schedule = _described(cfg)
    types: dict[str, Any] = {"dtype": cfg.dtype, "param_dtype": cfg.dtype}
    backend = choose(cfg.attention, dtype=cfg.dtype, head_dim=models.backbone.head_dim, platform=platform)
    backbone = dataclasses.replace(models.backbone, **types, attention=backend, remat=cfg.remat)
    branch = dataclasses.replace(models.branch.dit, **types, attention=backend, remat=cfg.branch_remat)
    if cfg.stage == "branch" and cfg.init_from:
        branch = dataclasses.replace(
            branch, num_layers=read_description(cfg.init_from, config.BranchConfig).dit.num_layers
        )
    elif cfg.stage == "branch":
        if cfg.branch_layers > backbone.num_layers:
            raise UserError(
                f"branch_layers {cfg.branch_layers}: expected at most {backbone.num_layers}, the layers of "
                f"the backbone that they are copied from"
            )
        branch = dataclasses.replace(branch, num_layers=cfg.branch_layers)
    t5 = models.t5 and dataclasses.replace(models.t5, **types)
    image = backbone.in_channels == 2 * models.vae.latent_channels
    vae = dataclasses.replace(models.vae, **types)
    encoders = Encoders(vae, t5, backbone.text_dim, image, cfg.vae_slicing)
    stage: Stage
    if cfg.stage == "vae":
        stage = VAEStage(vae, cfg.kl_weight, (cfg.vae_crop[0], cfg.vae_crop[1]), bool(cfg.init_from))
        encoders = dataclasses.replace(encoders, t5=None)
    elif cfg.stage == "backbone":
        if t5 is None:
            raise UserError(f"model {cfg.name!r} has no text encoder to train: expected another name, such as nano")
        stage, encoders = BackboneStage(backbone, t5), dataclasses.replace(encoders, t5=None, pretraining=True)
    elif cfg.stage == "branch":
        stage = BranchStage(backbone, config.BranchConfig(branch), InjectionSettings(tokens=cfg.injection_tokens))
    elif cfg.stage == "single_branch":
        stage = SingleBranchStage(widened(backbone))
    else:
        lora = adapter_config(cfg.rank, cfg.alpha)
        if cfg.init_from:
            lora = read_description(cfg.init_from, config.LoRAConfig)
        stage = AdapterStage(backbone, config.BranchConfig(branch), lora)
    return Described(stage, encoders, schedule, backbone.max_text_len)


def check_size(described: Described, frames: int, height: int, width: int) -> None:
    """Clips of this many frames, rows and columns fit the models.

    Raises:
      UserError: the first number that does not, with those that do.
    """
    stage = described.stage
    stride, patch = described.encoders.vae.spatial_stride, 1
    if isinstance(stage, VAEStage):
        for size, most in zip(stage.crop, (height, width)):
            if size % stride or size > most or (not all(stage.crop) and any(stage.crop)):
                raise UserError(
                    f"vae_crop {stage.crop} of {height} x {width} pixels: expected smaller multiples of "
                    f"{stride}, or (0, 0) for whole pictures"
                )
    else:
        patch = stage.backbone.patch
    if frames % TEMPORAL_STRIDE != 1:
        raise UserError(f"frames {frames}: expected 1, 5, 9 ... 4 n + 1")
    for name, size in (("height", height), ("width", width)):
        if size % (stride * patch):
            raise UserError(f"{name} {size}: expected a multiple of {stride * patch}")


def tokenizer_file(cfg: ModelConfig) -> Path:
    """The sentencepiece file of a run that has a text encoder."""
    if cfg.stage == "backbone" and cfg.tokenizer:
        return Path(cfg.tokenizer)
    folder = cfg.init_from if cfg.stage == "backbone" else cfg.checkpoint
    if not folder:
        raise UserError(
            "the backbone stage needs a vocabulary: --config.model.tokenizer=FILE, made by vp-jax vocabulary FILE"
        )
    return CheckpointFolder(Path(folder)).vocabulary()


def load(cfg: ModelConfig, described: Described, mesh: Mesh, key: jax.Array) -> tuple[Weights, trees.Tree]:
    """Starting weights of the stage and weights of the encoders, each on its devices.

    Precedence: 1. ``init_from``, 2. the backbone or the converted branch, 3. random weights where there is no
    checkpoint. (A run that is resumed restores the trainable part over this.)
    """
    stage, encoders = described.stage, described.encoders
    own = stage.shapes()
    shapes = encoders.shapes()
    if isinstance(stage, BackboneStage):
        shapes["t5"] = own.trainable["t5"]
    elif isinstance(stage, SingleBranchStage):
        shapes["backbone"] = abstract(stage.narrow)[1]
    elif not isinstance(stage, VAEStage):
        given = AdapterStage(stage.backbone, stage.branch, adapter_config(1, 1.0)).shapes().frozen
        shapes |= {name: given[name] for name in stage.models}
        if cfg.init_from:
            shapes.setdefault("branch", given["branch"])
    stored = {
        name
        for name in shapes
        if cfg.checkpoint and name != stage.kind and (name == "vae" or not isinstance(stage, VAEStage | BackboneStage))
    }
    like = sharding.placed(shapes, mesh)
    loaded = random_models({name: like[name] for name in (*stage.models, *encoders.shapes()) if name not in stored})
    for name in stored & {*stage.models, *encoders.shapes()}:
        loaded[name] = checkpoint.load_params(CheckpointFolder(Path(cfg.checkpoint)).of(PARTS[name]), like[name])
    if cfg.init_from and isinstance(stage, BackboneStage):
        whole = sharding.placed({"backbone": stage.whole(own.trainable, own.frozen), "t5": own.trainable["t5"]}, mesh)
        loaded |= {
            name: checkpoint.load_params(CheckpointFolder(Path(cfg.init_from)).of(PARTS[name]), whole[name])
            for name in whole
        }
    elif cfg.init_from:
        trained = like if stage.kind in shapes else sharding.placed({stage.kind: own.trainable}, mesh)
        loaded[stage.kind] = checkpoint.load_params(cfg.init_from, trained[stage.kind])
    encoder_weights = {name: loaded[name] for name in encoders.shapes() if name != stage.kind}
    models = {name: loaded[name] for name in loaded if name in (*stage.models, stage.kind)}
    trainable = sharding.place(own.trainable, mesh).shardings
    # without a sharding of their own, frozen weights pass through as the arrays they are
    placed: Any = Weights(trainable, None)  # type: ignore[arg-type]
    return jax.jit(stage.start, out_shardings=placed)(models, key), encoder_weights


def export(
    folder: Path,
    cfg: ModelConfig,
    described: Described,
    trainable: trees.Tree,
    frozen: trees.Tree,
    batches: Iterable[Mapping[str, Any]],
) -> Path:
    """Write what was trained as a part of a converted checkpoint: ``folder/branch``, ``folder/id_adapter``,
    ``folder/vae``, or ``folder/transformer`` with text encoder, tokenizer and schedule.

    All of it is written elsewhere first: a ``folder`` that is there is complete.

    Args:
      batches: of the loader, which no step has seen; the VAE's scaling factor is measured on them.
    """
    stage, new = described.stage, folder.with_name(folder.name + ".new")
    chief = jax.process_index() == 0
    if chief:
        shutil.rmtree(new, ignore_errors=True)
    hosts.meet("export begins")
    for name, (description, tree) in stage.exports(trainable, frozen).items():
        if isinstance(stage, VAEStage):
            factor = 1.0 / latent_std(stage, trainable, batches)
            description = dataclasses.replace(stage.vae, scaling_factor=round(factor, 6))
        values = config.to_json(description)
        fields = values.get("dit", values)
        for field, plain in (("dtype", "float32"), ("param_dtype", "float32"), ("attention", "xla"), ("remat", "")):
            if field in fields:
                fields[field] = plain  # how a run computed is no property of the model
        checkpoint.save_params(new / name, trees.cast(tree, jnp.float32), values)
    if isinstance(stage, BackboneStage):
        for name in ("tokenizer", "scheduler"):
            (new / name).mkdir(exist_ok=True)
        shutil.copy(tokenizer_file(cfg), new / "tokenizer" / "spiece.model")
        values = {"kind": "scheduler", "sampler": "dpm", **dataclasses.asdict(described.schedule)}
        checkpoint.save_config(new / "scheduler", values)
    hosts.meet("export written")
    if chief:
        if (new / "tokenizer").is_dir():
            record_files(new / "tokenizer")
        replace_parts(new, folder)
    return folder


def random_models(like: trees.Tree) -> trees.Tree:
    """Weights for trying a program out, on the devices that ``like`` names: matrices of variance 1 / inputs, norms 1.

    Made on the host: random numbers for every leaf of a VAE take XLA minutes to compile.
    """

    def make(number: int, path: str, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        name = path.rsplit("/", 1)[-1]
        values = np.full(leaf.shape, float(name == "scale"), np.float32)
        if name not in ("scale", "bias"):
            inputs = math.prod(leaf.shape[:-1]) if len(leaf.shape) > 3 else leaf.shape[-2]
            values = np.random.default_rng(number).standard_normal(leaf.shape, np.float32) / math.sqrt(inputs)
        return jax.make_array_from_callback(leaf.shape, leaf.sharding, lambda part: values[part].astype(leaf.dtype))

    return trees.unflatten(
        {path: make(number, path, leaf) for number, (path, leaf) in enumerate(trees.flatten(like).items())}
    )


def _described(cfg: ModelConfig) -> tuple[Variant, Schedule]:
    if cfg.stage == "vae" and cfg.init_from:
        models, schedule = _by_name(cfg.name)
        return dataclasses.replace(models, vae=read_description(cfg.init_from, config.VAEConfig)), schedule
    if cfg.stage == "backbone" and (cfg.checkpoint or cfg.init_from):
        models, schedule = _by_name(cfg.name)
        if cfg.checkpoint:
            models = dataclasses.replace(models, vae=CheckpointFolder(Path(cfg.checkpoint)).describe(AUTOENCODER))
        if cfg.init_from:
            source = CheckpointFolder(Path(cfg.init_from))
            models = dataclasses.replace(models, backbone=source.describe(BACKBONE), t5=source.describe(TEXT_ENCODER))
        return models, schedule
    if cfg.checkpoint and cfg.stage != "vae":
        return _from_checkpoint(CheckpointFolder(Path(cfg.checkpoint)))
    return _by_name(cfg.name)


def _by_name(name: str) -> tuple[Variant, Schedule]:
    models = variant(name)
    return models, Schedule(snr_shift=models.snr_shift)


def _from_checkpoint(source: CheckpointFolder) -> tuple[Variant, Schedule]:
    backbone = source.describe(BACKBONE)
    branch = config.BranchConfig(dataclasses.replace(backbone, num_layers=2, in_channels=33))
    if source.has(BRANCH):
        branch = source.describe(BRANCH)
    t5 = source.describe(TEXT_ENCODER) if source.has(TEXT_ENCODER) else None
    return Variant(backbone, branch, source.describe(AUTOENCODER), t5), source.schedule()
