"""Models of a run: descriptions and starting weights, from a converted checkpoint or made at random by name."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vp_jax import checkpoint, sharding, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.models import config
from vp_jax.models.attention import check_backend, default_backend
from vp_jax.models.dit import REMAT
from vp_jax.models.variants import Variant, variant
from vp_jax.training.encode import Encoders
from vp_jax.training.stages import AdapterStage, BranchStage, Weights, adapter_config

Stage = BranchStage | AdapterStage


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Which models a run uses and how they compute.

    Attributes:
      stage: ``branch`` or ``id_adapter``.
      checkpoint: folder made by ``python -m convert all``; empty: random weights of ``name``.
      name: of `vp_jax.models.variants`.
      init_from: folder of a trained model to continue from (``branch/`` or ``id_adapter/`` of an export); empty: the
        first backbone blocks, or an adapter that does nothing.
      branch_layers: of a fresh context encoder.
      rank, alpha: of a fresh adapter.
      dtype: of computation and of frozen weights.
      attention: see `vp_jax.models.attention`; empty: the fastest that is there.
      remat, branch_remat: of `vp_jax.models.dit.REMAT`, or empty, for backbone and context encoder.
      vae_slicing: one clip after another through the VAE.
    """

    stage: str = "branch"
    checkpoint: str = ""
    name: str = "cogvideox-5b-i2v"
    init_from: str = ""
    branch_layers: int = 2
    rank: int = 256
    alpha: float = 128.0
    dtype: str = "bfloat16"
    attention: str = ""
    remat: str = "nothing_saveable"
    branch_remat: str = "nothing_saveable"
    vae_slicing: bool = False

    def __post_init__(self) -> None:
        if self.stage not in ("branch", "id_adapter"):
            raise UserError(f"stage {self.stage!r}: expected branch or id_adapter")
        if self.dtype not in ("bfloat16", "float32"):
            raise UserError(f"dtype {self.dtype!r}: expected bfloat16 or float32")
        for name in (self.remat, self.branch_remat):
            if name and name not in REMAT:
                raise UserError(f"remat {name!r}: expected one of {', '.join(REMAT)}, or nothing")


@dataclasses.dataclass(frozen=True)
class Described:
    """Static side of a run's models."""

    stage: Stage
    encoders: Encoders
    schedule: Schedule


def describe(cfg: ModelConfig, platform: str | None = None) -> Described:
    """Descriptions of all models of a run on ``platform`` (default: this machine's); reads JSON at most.

    Raises:
      UserError: unknown name, or a folder that is no converted checkpoint.
    """
    models, schedule = _from_checkpoint(Path(cfg.checkpoint)) if cfg.checkpoint else _by_name(cfg.name)
    types: dict[str, Any] = {"dtype": cfg.dtype, "param_dtype": cfg.dtype}
    backend = check_backend(cfg.attention or default_backend(platform), platform)
    backbone = dataclasses.replace(models.backbone, **types, attention=backend, remat=cfg.remat)
    branch = dataclasses.replace(models.branch.dit, **types, attention=backend, remat=cfg.branch_remat)
    if cfg.stage == "branch" and not cfg.init_from:
        branch = dataclasses.replace(branch, num_layers=cfg.branch_layers)
    stage: Stage = BranchStage(backbone, config.BranchConfig(branch))
    if cfg.stage == "id_adapter":
        lora = adapter_config(cfg.rank, cfg.alpha)
        if cfg.init_from:
            lora = config.from_json(checkpoint.load_config(cfg.init_from))
        stage = AdapterStage(backbone, config.BranchConfig(branch), lora)
    t5 = models.t5 and dataclasses.replace(models.t5, **types)
    image = backbone.in_channels == 2 * models.vae.latent_channels
    vae = dataclasses.replace(models.vae, **types)
    return Described(stage, Encoders(vae, t5, backbone.text_dim, image, cfg.vae_slicing), schedule)


def load(cfg: ModelConfig, described: Described, mesh: Mesh, key: jax.Array) -> tuple[Weights, trees.Tree]:
    """Starting weights of the stage and weights of the encoders, each on its devices.

    Precedence: 1. ``init_from``, 2. the backbone or the converted branch, 3. random weights where there is no
    checkpoint. (A run that is resumed restores the trainable part over this.)
    """
    stage, encoders = described.stage, described.encoders
    shapes = {**AdapterStage(stage.backbone, stage.branch, adapter_config(1, 1.0)).shapes().frozen, **encoders.shapes()}
    wanted = ["backbone", *encoders.shapes()] + (["branch"] if isinstance(stage, AdapterStage) else [])
    like = _placed({name: shapes[name] for name in wanted}, mesh)
    if cfg.checkpoint:
        loaded = {name: checkpoint.load_params(Path(cfg.checkpoint) / FOLDERS[name], like[name]) for name in wanted}
    else:
        loaded = random_models(like)
    if cfg.init_from:
        trained = stage.shapes().trainable if isinstance(stage, AdapterStage) else shapes["branch"]
        loaded[stage.kind] = checkpoint.load_params(cfg.init_from, _placed(trained, mesh))
    encoder_weights = {name: loaded.pop(name) for name in encoders.shapes()}
    trainable = sharding.place(stage.shapes().trainable, mesh).shardings
    # without a sharding of their own, frozen weights pass through as the arrays they are
    placed: Any = Weights(trainable, None)  # type: ignore[arg-type]
    return jax.jit(stage.start, out_shardings=placed)(loaded, key), encoder_weights


def export(folder: Path, described: Described, trainable: trees.Tree, frozen: trees.Tree) -> Path:
    """Write the trained model as a part of a converted checkpoint: ``folder/branch`` or ``folder/id_adapter``."""
    stage = described.stage
    values = config.to_json(stage.trained_config)
    fields = values.get("dit", values)
    for name, plain in (("dtype", "float32"), ("param_dtype", "float32"), ("attention", "xla"), ("remat", "")):
        if name in fields:
            fields[name] = plain  # how a run computed is no property of the model
    tree = trees.cast(stage.export(trainable, frozen), jnp.float32)
    checkpoint.save_params(folder / stage.kind, tree, values)
    return folder / stage.kind


FOLDERS = {"backbone": "transformer", "branch": "branch", "vae": "vae", "t5": "text_encoder"}


def _placed(shapes: trees.Tree, mesh: Mesh) -> trees.Tree:
    """Shapes with the shardings of the rule table."""
    return jax.tree.map(lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), shapes,
                        sharding.place(shapes, mesh).shardings)


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

    return trees.unflatten({path: make(number, path, leaf)
                            for number, (path, leaf) in enumerate(trees.flatten(like).items())})


def _by_name(name: str) -> tuple[Variant, Schedule]:
    models = variant(name)
    return models, Schedule(snr_shift=models.snr_shift)


def _from_checkpoint(folder: Path) -> tuple[Variant, Schedule]:
    def described(name: str) -> Any:
        return config.from_json(checkpoint.load_config(folder / FOLDERS[name]))

    backbone = described("backbone")
    branch = config.BranchConfig(dataclasses.replace(backbone, num_layers=2, in_channels=33))
    if (folder / FOLDERS["branch"]).is_dir():
        branch = described("branch")
    t5 = described("t5") if (folder / FOLDERS["t5"]).is_dir() else None
    schedule = Schedule()
    if (folder / "scheduler").is_dir():
        known = {field.name for field in dataclasses.fields(Schedule)}
        values = checkpoint.load_config(folder / "scheduler")
        schedule = Schedule(**{name: value for name, value in values.items() if name in known})
    return Variant(backbone, branch, described("vae"), t5), schedule
