"""Where the parts of a checkpoint are: the original download's folders, or one flat folder.

=============  ========================================  ==============
part           as downloaded                             flat
=============  ========================================  ==============
transformer    ``CogVideoX-5b-I2V/transformer``          ``transformer``
branch         ``VideoPainter/checkpoints/branch``       ``branch``
vae            ``CogVideoX-5b-I2V/vae``                  ``vae``
text_encoder   ``CogVideoX-5b-I2V/text_encoder``         ``text_encoder``
tokenizer      ``CogVideoX-5b-I2V/tokenizer``            ``tokenizer``
scheduler      ``CogVideoX-5b-I2V/scheduler``            ``scheduler``
id_adapter     ``VideoPainterID/checkpoints``            ``id_adapter``
=============  ========================================  ==============
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from vp_jax.convert import files, scheduler
from vp_jax.convert.kinds import MODELS
from vp_jax.errors import UserError
from vp_jax.models.config import BranchConfig, DiTConfig
from vp_jax.reading import read_json, show

PARTS = ("transformer", "branch", "vae", "text_encoder", "tokenizer", "scheduler", "id_adapter")
TOKENIZER_MODEL = "spiece.model"
_ORIGINAL = "the JSON file of the original checkpoint"
_SHARED = ("num_heads", "head_dim", "text_dim", "rope", "learned_positions", "patch", "patch_t")
_BESIDE = {"branch": "VideoPainter/checkpoints/branch", "id_adapter": "VideoPainterID/checkpoints"}


def _is_base(folder: Path) -> bool:
    """Whether a folder holds a CogVideoX (other diffusion models have a ``transformer`` too)."""
    config = folder / "transformer" / "config.json"
    return (
        config.is_file()
        and read_json(config, "the config.json of a model").get("_class_name") == "CogVideoXTransformer3DModel"
    )


def find_parts(root: Path, base: str | None = None) -> dict[str, Path | None]:
    """Folder of every part, ``None`` if absent.

    Args:
      root: folder of the checkpoint.
      base: name (or path) of the CogVideoX folder in it, where there are several.

    Raises:
      UserError: no transformer, or several and no ``base``.
    """
    if not os.path.isdir(root):
        raise UserError(f"no folder {root}: expected the folder of the downloaded checkpoints")
    if base is not None:
        home = next((place for place in (root / base, Path(base)) if os.path.isdir(place / "transformer")), None)
        if home is None:
            raise UserError(f"--base {show(base)}: neither in {show(root)} nor by itself a folder with a transformer")
    elif (root / "transformer").is_dir():
        home = root
    else:
        homes = sorted(p for p in root.iterdir() if p.is_dir() and _is_base(p))
        if not homes:
            raise UserError(
                f"no transformer in {root}: expected {root}/transformer or "
                f"{root}/CogVideoX-5b-I2V/transformer with its config.json"
            )
        if len(homes) > 1:
            raise UserError(f"{root} holds {[p.name for p in homes]}: choose one by --base {homes[0].name}")
        home = homes[0]
    parts: dict[str, Path | None] = {}
    for part in PARTS:
        places = [home / part, root / part] + ([root / _BESIDE[part]] if part in _BESIDE else [])
        parts[part] = next((place for place in places if place.is_dir() and any(place.iterdir())), None)
    if parts["transformer"] is None:
        raise UserError(f"{home}/transformer is empty: finish the download")
    return parts


def check(parts: Mapping[str, Path | None]) -> DiTConfig:
    """Read every description and file header, before long work; returns the description of the transformer.

    Raises:
      UserError: an unsupported description, incomplete files, or a context encoder made for another backbone.
    """
    described: dict[str, object] = {}
    for part, folder in parts.items():
        if folder is None:
            continue
        if part == "scheduler":
            scheduler.config_from_torch(read_json(folder / scheduler.SOURCE, _ORIGINAL))
        elif part == "tokenizer":
            find_tokenizer(folder)
        else:
            files.read_tensors(folder)
        if part in MODELS:
            described[part] = MODELS[part].from_torch(read_json(folder / "config.json", _ORIGINAL))
    backbone, branch = described["transformer"], described.get("branch")
    assert isinstance(backbone, DiTConfig)
    if isinstance(branch, BranchConfig):
        faults = [
            f"{name} {getattr(branch.dit, name)} and {getattr(backbone, name)}"
            for name in _SHARED
            if getattr(branch.dit, name) != getattr(backbone, name)
        ]
        if faults:
            raise UserError(
                f"{parts['branch']} was made for another backbone than {parts['transformer']}: "
                + ", ".join(faults)
                + "; choose the backbone by --base"
            )
    return backbone


def find_tokenizer(folder: Path) -> Path:
    """The sentencepiece model of a tokenizer folder.

    Raises:
      UserError: it has none.
    """
    if not (folder / TOKENIZER_MODEL).is_file():
        raise UserError(f"{folder} has no {TOKENIZER_MODEL}: expected the tokenizer folder of the original checkpoint")
    return folder / TOKENIZER_MODEL
