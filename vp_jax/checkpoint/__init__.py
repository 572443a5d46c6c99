"""The only room that talks to Orbax: weights of models, and states of training runs, each verified when it is read.

=============================================  ================================================================
`save_params`, `stream_params`, `save_config`  write a model folder: ``config.json`` beside ``params/``
`load_config`, `load_params`                   read it; what is read is compared with its digests
`check_sizes`, `verify`, `record`              a cheap look at a folder; everything in it compared; digests made anew
`TrainingCheckpoints`                          states of a run, and JSON beside them
=============================================  ================================================================

A converted checkpoint is a folder of such model folders (``transformer/ branch/ vae/ ...``), see `convert`. Stored
trees are pure nested dicts, so nothing of Flax is baked into files.
"""

from typing import TYPE_CHECKING, Any

from vp_jax.checkpoint.lazy_leaf import LazyLeaf
from vp_jax.checkpoint.weights import (
    CONFIG,
    PARAMS,
    check_sizes,
    load_config,
    load_params,
    record,
    save_config,
    save_params,
    stream_params,
    verify,
)

if TYPE_CHECKING:
    from vp_jax.checkpoint.training import Restored, TrainingCheckpoints

__all__ = [
    "CONFIG",
    "PARAMS",
    "LazyLeaf",
    "Restored",
    "TrainingCheckpoints",
    "check_sizes",
    "load_config",
    "load_params",
    "record",
    "save_config",
    "save_params",
    "stream_params",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in ("Restored", "TrainingCheckpoints"):  # Orbax takes half a second to import, and sampling needs none
        from vp_jax.checkpoint import training

        return getattr(training, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
