"""Weights that a run starts from: a converted checkpoint, a trained model to continue from, or random numbers.

In this order of precedence; a run that is resumed restores its trainable part over them.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vp_jax import checkpoint, sharding, trees
from vp_jax.models.folder import CHECKPOINT_PARTS
from vp_jax.training.models import ModelConfig, TrainingModels
from vp_jax.training.stages.weights import Weights, origin


def starting_weights(
    cfg: ModelConfig, models: TrainingModels, mesh: Mesh, key: jax.Array
) -> tuple[Weights, trees.Tree]:
    """Weights of the stage before its first step, and weights of the encoders, each on its devices.

    Args:
      cfg: settings of the models.
      models: what they describe.
      mesh: of the run.
      key: of weights that are made anew.

    Raises:
      UserError: a folder that is missing or damaged, or does not fit the models.
    """
    stage = models.stage
    encoders = {"vae": models.encoders.vae, "t5": models.encoders.t5}
    in_front = {
        name: origin(cfg.source, CHECKPOINT_PARTS[name], one) for name, one in encoders.items() if one is not None
    }
    origins = {**in_front, **stage.origins(cfg.source, cfg.continued)}
    like = sharding.placed({name: one.shapes for name, one in origins.items()}, mesh)
    loaded = random_models({name: like[name] for name, one in origins.items() if one.folder is None})
    for name, one in origins.items():
        if one.folder is not None:
            loaded[name] = checkpoint.load_params(one.folder, like[name])
    taken = {name: loaded[name] for name in loaded if name not in in_front}
    trainable = sharding.place(stage.shapes().trainable, mesh).shardings
    # without a sharding of their own, frozen weights pass through as the arrays they are
    places: Any = Weights(trainable, None)  # type: ignore[arg-type]
    return jax.jit(stage.start, out_shardings=places)(taken, key), {name: loaded[name] for name in in_front}


def random_models(like: trees.Tree) -> trees.Tree:
    """Random weights for dry runs, on the devices that ``like`` names: matrices of variance 1 / inputs, norms 1.

    They are made on the host: random numbers for every leaf of a VAE take XLA minutes to compile.
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
