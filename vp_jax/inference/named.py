"""Models that come with the package, by name, with the settings that suit them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vp_jax.errors import UserError
from vp_jax.files import write_text
from vp_jax.inference.settings import Settings
from vp_jax.models.config import Injection
from vp_jax.reading import read_json, show
from vp_jax.schema import from_values

SAMPLING_FILE = "sampling.json"
"""In a checkpoint folder: settings that are the defaults of this model."""


@dataclasses.dataclass(frozen=True)
class NamedModel:
    """A converted folder and how it is run.

    Attributes:
      folder: of the weights.
      precision: of weights and computation.
      settings: of `vp_jax.inference.settings.Settings`, where this model's defaults are others.
    """

    folder: Path
    precision: str = "bfloat16"
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


NAMED = {
    "nano": NamedModel(
        Path(__file__).parent.parent / "nano",
        precision="float32",
        # more steps show more of what the model does not know: docs/nano/README.md
        settings={"steps": 2, "guidance": 1.5, "dynamic_guidance": False, "injection": Injection(tokens="all")},
    )
}


def _own_settings(folder: Path) -> Mapping[str, Any]:
    """Settings of `SAMPLING_FILE` in a folder, if it has the file.

    Raises:
      UserError: it holds anything but settings in their range.
    """
    path = folder / SAMPLING_FILE
    if not path.is_file():
        return {}
    values = read_json(path, "settings of a model")
    try:
        if "injection" in values:
            values["injection"] = from_values(Injection, values["injection"], "injection")
        Settings().changed(**values)
    except (UserError, TypeError) as error:
        raise UserError(f"{show(path)}: {error}") from error
    return values


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make these fields of `Settings` the defaults of the model in ``folder``."""
    write_text(folder / SAMPLING_FILE, json.dumps(settings, default=dataclasses.asdict) + "\n")


def find_model(model: str | Path) -> NamedModel:
    """The model called ``model``, or the one in that folder.

    Raises:
      UserError: no such folder, or a package without the named model's weights.
    """
    known = NAMED.get(model) if isinstance(model, str) else None
    if known is None:
        if not os.path.isdir(model):
            names = " or ".join(repr(name) for name in NAMED)
            raise UserError(f"{model}: no such folder; expected one made by `python -m convert all`, or {names}")
        return NamedModel(Path(model), settings=_own_settings(Path(model)))
    if not (known.folder / "transformer").is_dir():
        raise UserError(f"this copy of vp_jax has no {model} model: expected its weights in {known.folder}")
    return known
