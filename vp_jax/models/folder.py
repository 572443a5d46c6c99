"""A converted checkpoint folder as descriptions: the one reader for sampling, training and evaluation.

    FOLDER/transformer     backbone        DiTConfig
           branch          context encoder BranchConfig
           vae             autoencoder     VAEConfig
           text_encoder    T5 encoder      T5Config      with tokenizer/spiece.model
           id_adapter      ID adapter      LoRAConfig
           scheduler       noise schedule  Schedule      CogVideoX-5B's where the folder has none
           parts.json      where parts are that an export of training shares with other folders, see `write_references`

Each part but the last is a model folder: ``config.json`` (the description) beside ``params/`` (the weights), see
`vp_jax.checkpoint`. A description is static and hashable; `abstract` gives the graph and the shapes of its weights
without allocating anything.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import jax
from flax import nnx

from vp_jax import checkpoint, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.files import replacing
from vp_jax.models import config
from vp_jax.models.branch import Branch
from vp_jax.models.config import BranchConfig, DiTConfig, LoRAConfig, T5Config, VAEConfig
from vp_jax.models.dit import DiT
from vp_jax.models.t5 import T5Encoder
from vp_jax.models.vae.vae import VAE
from vp_jax.reading import read_json

Network = DiTConfig | BranchConfig | VAEConfig | T5Config
"""Descriptions that are a model by themselves; an adapter (`LoRAConfig`) needs the backbone that it changes."""

Description = Network | LoRAConfig

D = TypeVar("D", bound=Description)


@dataclasses.dataclass(frozen=True)
class Part(Generic[D]):
    """One model of a checkpoint folder.

    Attributes:
      name: among the models of a run.
      folder: its folder in the checkpoint.
      description: class of its description.
    """

    name: str
    folder: str
    description: type[D]

    @property
    def kind(self) -> str:
        """What ``config.json`` calls it, a key of `vp_jax.models.config.CONFIG_KINDS`."""
        return kind_of(self.description)


BACKBONE = Part("backbone", "transformer", DiTConfig)
BRANCH = Part("branch", "branch", BranchConfig)
AUTOENCODER = Part("vae", "vae", VAEConfig)
TEXT_ENCODER = Part("t5", "text_encoder", T5Config)
ID_ADAPTER = Part("id_adapter", "id_adapter", LoRAConfig)
CHECKPOINT_PARTS = {part.name: part for part in (BACKBONE, BRANCH, AUTOENCODER, TEXT_ENCODER, ID_ADAPTER)}
"""Parts by their names in a run."""

SCHEDULER = "scheduler"
TOKENIZER = "tokenizer"
ENCODERS = (AUTOENCODER.folder, TEXT_ENCODER.folder, TOKENIZER, SCHEDULER)
"""Folders of what surrounds the transformers of a checkpoint."""
REFERENCES = "parts.json"
VOCABULARY = "spiece.model"
"""The sentencepiece file in `TOKENIZER`."""


def kind_of(description: type[Any]) -> str:
    """The kind that ``config.json`` names for descriptions of this class."""
    return next(kind for kind, cls in config.CONFIG_KINDS.items() if cls is description)


def read_description(folder: Path | str, description: type[D], **changes: str) -> D:
    """The description in a model folder.

    Args:
      folder: holds ``config.json``.
      description: the class expected there.
      changes: fields to replace: ``dtype``, ``param_dtype``, ``attention`` ...

    Raises:
      UserError: no such folder, not a converted model, a model of another kind, or unknown or missing fields.
    """
    found = config.from_json(checkpoint.load_config(folder, kind_of(description)), **changes)
    assert isinstance(found, description)
    return found


@dataclasses.dataclass(frozen=True)
class CheckpointFolder:
    """A folder made by ``python -m convert all``, or by several exports of training. Reading it reads JSON only."""

    path: Path

    @classmethod
    def existing(cls, path: Path | str) -> CheckpointFolder:
        """The checkpoint at ``path``. Raises `UserError` if there is no such folder."""
        folder = Path(path)
        if not os.path.isdir(folder):
            raise UserError(f"no checkpoint folder {folder}: make one with `python -m convert all CKPT_DIR {folder}`")
        return cls(folder)

    def has(self, part: Part[Any]) -> bool:
        """The folder has such a part, whole or not."""
        return self.of(part).is_dir()

    def of(self, part: Part[Any]) -> Path:
        """The model folder of a part."""
        return self.place(part.folder)

    def place(self, name: str) -> Path:
        """The folder called ``name``: its own or, where it has none, the one that ``parts.json`` names.

        Raises:
          UserError: ``parts.json`` cannot be used, or names a folder that is not there.
        """
        own = self.path / name
        other = None if own.exists() else self._references().get(name)
        if other is None:
            return own
        if not Path(other).is_dir():
            raise UserError(
                f"{self.path / REFERENCES} names {other} as {name}, which is not there: put the folder back, or change "
                f"the path in this file"
            )
        return Path(other)

    def samples_alone(self) -> bool:
        """The folder has no context encoder on purpose, see `write_references`."""
        return self._references().get(BRANCH.folder, "") is None and not (self.path / BRANCH.folder).exists()

    def verify(self) -> list[str]:
        """Compare all of it with its digests, the parts that ``parts.json`` names included.

        Returns:
          Names of what was compared.

        Raises:
          UserError: as `vp_jax.checkpoint.verify`, and what `place` raises.
        """
        compared = checkpoint.verify(self.path)
        for name, other in self._references().items():
            if other is not None and not (self.path / name).exists():
                checkpoint.verify(self.place(name))
                compared.append(name)
        return compared

    def _references(self) -> dict[str, str | None]:
        file = self.path / REFERENCES
        if not file.exists():
            return {}
        values = read_json(file, "names of parts with the paths of their folders")
        known = {*ENCODERS, *(part.folder for part in CHECKPOINT_PARTS.values())}
        for name, value in values.items():
            if name not in known or not (isinstance(value, str) or (value is None and name == BRANCH.folder)):
                raise UserError(
                    f"{file}: {name!r}: expected one of {', '.join(sorted(known))}, with the path of a folder"
                )
        return values

    def describe(self, part: Part[D], **changes: str) -> D:
        """Description of a part; arguments and errors as of `read_description`."""
        return read_description(self.of(part), part.description, **changes)

    def schedule(self) -> Schedule:
        """The converted noise schedule, or CogVideoX-5B's where none was converted."""
        folder = self.place(SCHEDULER)
        return Schedule.from_json(checkpoint.load_config(folder)) if folder.is_dir() else Schedule()

    def vocabulary(self) -> Path:
        """The sentencepiece file of the text encoder; it may be missing."""
        return self.place(TOKENIZER) / VOCABULARY


def write_references(folder: Path, parts: Mapping[str, Path], *, samples_alone: bool = False) -> None:
    """Write ``parts.json``: where parts are that ``folder`` does not have itself.

    Args:
      folder: a checkpoint folder.
      parts: folders by the name of their part.
      samples_alone: the backbone is sampled without a context encoder.
    """
    values: dict[str, str | None] = {name: str(path.resolve()) for name, path in parts.items()}
    if samples_alone:
        values[BRANCH.folder] = None
    with replacing(folder / REFERENCES) as partial:
        partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def build_model(description: Network, rngs: nnx.Rngs) -> nnx.Module:
    """The model of a description, freshly initialised."""
    match description:
        case DiTConfig():
            return DiT(description, rngs=rngs)
        case BranchConfig():
            return Branch(description, rngs=rngs)
        case VAEConfig():
            return VAE(description, rngs=rngs)
        case T5Config():
            return T5Encoder(description, rngs=rngs)


@functools.lru_cache(maxsize=64)
def abstract_model(description: Network) -> tuple[nnx.GraphDef[Any], trees.Tree]:
    """Graph definition of a model and the shapes of its weights, nothing allocated.

    Both are shared between callers: do not change the dict.
    """
    graph, shapes = trees.abstract(lambda: build_model(description, nnx.Rngs(0)))
    # without the shardings that JAX notes where a mesh is set: the result serves other places too
    return graph, jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), shapes)
