"""Finding the weights of a checkpoint: one file, or shards and their index, in any variant.

=====================  =============================================  ==========================================
                       plain                                          variant (fp16, bf16, ...)
=====================  =============================================  ==========================================
one file               ``diffusion_pytorch_model.safetensors``        ``diffusion_pytorch_model.fp16.safetensors``
index of shards        ``....safetensors.index.json``                 ``....safetensors.index.fp16.json``
shards                 ``...-00001-of-00002.safetensors``             ``....fp16-00001-of-00002.safetensors``
=====================  =============================================  ==========================================

A reader is a mapping from tensor name to `Tensor`, which knows its shape and type and is read only when NumPy asks
for it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from vp_jax.convert.pickles import PICKLE_SUFFIXES, read_pickle
from vp_jax.convert.tensors import Tensor, read_safetensors, write_tensors
from vp_jax.errors import UserError
from vp_jax.reading import check_regular, is_regular, read_json, reading, show
from vp_jax.schema import listed

__all__ = ["STEMS", "Tensor", "find_weights", "read_tensors", "write_tensors"]

STEMS = ("diffusion_pytorch_model", "model", "pytorch_model", "pytorch_lora_weights", "adapter_model")
WEIGHT_SUFFIXES = (".safetensors", *PICKLE_SUFFIXES)
_INDEX = re.compile(r".+\.(safetensors|bin|pt|pth)\.index(\.[\w-]+)?\.json")
_SHARD = re.compile(r".+-\d+-of-\d+(\.[\w-]+)?\.(safetensors|bin|pt|pth)")


def find_weights(place: str | Path) -> Path:
    """The weights of a model folder (an ``*.index.json`` stands for its shards), or the file itself.

    Raises:
      UserError: nothing there, or several files and no way to choose.
    """
    place = Path(place)
    if not os.path.isdir(place):
        if not os.path.exists(place) and not os.path.islink(place):
            raise UserError(f"{show(place)}: no such file or folder, expected a checkpoint")
        return check_regular(place)
    with reading(place):
        names = sorted(name for name in os.listdir(place) if is_regular(place / name))
    for stem in STEMS:
        for suffix in WEIGHT_SUFFIXES:
            for name in (f"{stem}{suffix}.index.json", f"{stem}{suffix}"):
                if name in names:
                    return place / name
    # a variant such as fp16, or any single file
    files = [name for name in names if name.endswith(WEIGHT_SUFFIXES)]
    indexes = [name for name in names if _INDEX.fullmatch(name)]
    choices = indexes + [name for name in files if not _SHARD.fullmatch(name)]
    if len(choices) == 1:
        return place / choices[0]
    if files and not choices:
        raise UserError(
            f"{show(place)} holds shards without their index ({_some(files)}): finish the download, the file "
            f"*.index.json is missing"
        )
    raise UserError(
        f"{show(place)} holds {_some(choices) or 'no weights'}: expected one of "
        f"{[f'{stem}.safetensors' for stem in STEMS]}, a *.safetensors.index.json with its shards, or "
        f"one .bin/.pt/.pth file; or name the file itself"
    )


def read_tensors(place: str | Path) -> dict[str, Tensor]:
    """All tensors of a file, of the shards of an ``*.index.json``, or of a model folder (see `find_weights`).

    Raises:
      UserError: missing, truncated or corrupt files; an index that disagrees with its shards; no PyTorch for a pickle.
    """
    path = find_weights(place)
    return _read_shards(path) if _INDEX.fullmatch(path.name) else _read_file(path)


def _read_file(path: Path) -> dict[str, Tensor]:
    return read_pickle(path) if path.suffix in PICKLE_SUFFIXES else read_safetensors(path)


def _read_shards(index: Path) -> dict[str, Tensor]:
    where = read_json(index, "the index of a checkpoint's shards").get("weight_map")
    if not isinstance(where, dict) or not where:
        raise UserError(f"{show(index)} has no weight_map with names of tensors and files: download it again")
    outside = [f"{show(key)[:100]}: {_name(name)}" for key, name in where.items() if not _is_shard(name)]
    if outside:
        raise UserError(f"{show(index)} names what is no weights file in its own folder: {listed(outside, 3)}")
    shards = sorted(set(where.values()))
    missing = [show(name) for name in shards if not is_regular(index.parent / name)]
    if missing:
        raise UserError(f"{index.parent} lacks {_some(missing)} of {len(shards)} shards: finish the download")
    stored = {name: _read_file(index.parent / name) for name in shards}
    faults = [
        f"- {show(key)}: in {name}, not in the index"
        for name in shards
        for key in stored[name]
        if where.get(key) != name
    ]
    faults += [f"+ {show(key)}: not in {name}" for key, name in where.items() if key not in stored[name]]
    if faults:
        raise UserError(f"{show(index)} disagrees with its shards: {listed(faults)}")
    return {key: stored[name][key] for name in shards for key in stored[name]}


def _is_shard(name: object) -> bool:
    """A plain file name, in the index's own folder, of a kind that holds tensors."""
    return (
        isinstance(name, str)
        and name.endswith(WEIGHT_SUFFIXES)
        and name == PurePosixPath(name).name
        and not set(name) & {"\\", "\0"}
    )


def _name(value: object) -> str:
    return show(repr(value))[:100]


def _some(names: list[str]) -> str:
    return f"{names[:5]}"[:-1] + (f", ... {len(names) - 5} more]" if len(names) > 5 else "]") if names else ""
