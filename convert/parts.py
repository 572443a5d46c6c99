"""One part of a checkpoint at a time: an original folder -> our folder, and back.

A model is never completely in memory: leaf by leaf, its tensors are gathered from the shards into a scratch file, which
Orbax compresses and writes. Besides ``config.json`` and ``params/`` a part keeps what export needs to restore the
original: ``torch_config.json`` and, for the context encoder, ``unused.safetensors``.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax import checkpoint, digests, trees
from vp_jax.convert import engine, files, lora, scheduler
from vp_jax.convert.kinds import ADAPTERS, KINDS, MODELS
from vp_jax.convert.layout import TOKENIZER_MODEL, find_tokenizer
from vp_jax.convert.lora_scale import read_stored
from vp_jax.convert.names import by_pattern, unwrap
from vp_jax.convert.pickles import PICKLE_SUFFIXES
from vp_jax.convert.tensors import read_header
from vp_jax.convert.values import fault_of
from vp_jax.digests import check_file
from vp_jax.errors import UserError
from vp_jax.files import write_atomically, write_text
from vp_jax.models import config as descriptions
from vp_jax.reading import read_bytes, read_json
from vp_jax.schema import check_number

TORCH_CONFIG, UNUSED = "torch_config.json", "unused.safetensors"
_ORIGINAL = "the JSON file of the original checkpoint"
_MOST_TOKENIZER = 256 << 20
"""Bytes of the largest file of a tokenizer."""
_IN_MEMORY = 64 << 20
"""Leaves up to this many bytes are gathered in memory."""


@dataclasses.dataclass(frozen=True)
class PartReport:
    """What was done to one part."""

    kind: str
    tensors: int = 0
    parameters: int = 0
    bytes: int = 0
    seconds: float = 0.0
    ignored: tuple[str, ...] = ()
    note: str = ""


def is_complete(folder: Path) -> bool:
    """Whether an earlier run finished this part (``config.json`` is written last) and its files have their sizes."""
    if (folder / TOKENIZER_MODEL).is_file():
        return True
    try:
        kind = checkpoint.load_config(folder)["kind"]
        checkpoint.check_sizes(folder)
    except UserError:
        return False
    return kind == "scheduler" or (folder / checkpoint.PARAMS).is_dir()


def convert(
    kind: str,
    source: Path,
    folder: Path,
    dtype: Any = None,
    *,
    num_layers: int | None = None,
    scale: float | None = None,
) -> PartReport:
    """Convert one part.

    Args:
      kind: one of `KINDS`.
      source: original folder, or weights file next to its ``config.json``.
      folder: our folder; what an interrupted run left there is replaced.
      dtype: of floating weights; ``None`` keeps the stored types.
      num_layers: layers of the backbone under an adapter; ``None``: the adapter has the last layer.
      scale: of an adapter; ``None``: what the file says, else 1.

    Raises:
      UserError: unreadable or unfitting files (all faults in one message), or ``folder`` is an original checkpoint.
    """
    if kind not in KINDS:
        raise UserError(f"kind {kind!r}: expected one of {', '.join(KINDS)}")
    start = time.perf_counter()
    source, folder = Path(source), Path(folder)
    if not os.path.exists(source):
        raise UserError(f"no {source}: expected the folder or weights file of the original {kind}")
    _claim(folder, kind)
    if kind == "scheduler":
        report = _convert_scheduler(source, folder)
    elif kind in ADAPTERS:
        report = _convert_adapter(kind, source, folder, dtype, num_layers, scale)
    else:
        report = _convert_model(kind, source, folder, dtype)
    return dataclasses.replace(report, seconds=time.perf_counter() - start)


OUR_KINDS = {"transformer": "dit", "fun_inp": "dit", "void": "dit", "text_encoder": "t5", "id_adapter": "lora"}
"""What descriptions call the parts that have another name there."""


def _claim(folder: Path, kind: str) -> None:
    """Make sure that writing to ``folder`` overwrites nothing but our own earlier output of the same kind."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: expected a folder to write to")
    weights = (p.name for p in folder.glob("*") if p.suffix in (".safetensors", *PICKLE_SUFFIXES))
    original = any(name != UNUSED for name in weights) or (folder / scheduler.SOURCE).exists()
    try:
        held = read_json(folder / checkpoint.CONFIG).get("kind")
    except UserError:
        held = OUR_KINDS.get(kind, kind)  # none there, or cut off by an interrupted run
    original |= held is None
    if original:
        raise UserError(f"{folder} holds an original checkpoint: choose another folder to write to")
    if held != OUR_KINDS.get(kind, kind):
        raise UserError(f"{folder} holds a converted {held}, not a {kind}: choose another folder, or remove it first")


def _convert_model(kind: str, source: Path, folder: Path, dtype: Any) -> PartReport:
    model = MODELS[kind]
    original = read_json((source if source.is_dir() else source.parent) / "config.json", _ORIGINAL)
    cfg = model.from_torch(original)
    stored = files.read_tensors(source)
    unwrapped = unwrap(stored, model.knows)
    names = model.normalise(unwrapped.names.values())
    tensors = {names[unwrapped.names[key]]: tensor for key, tensor in stored.items()}
    leaves, ignored = engine.plan(tensors, model.rules, model.ignored, model.abstract(cfg), dtype)
    sizes = [int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in leaves.values()]
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < sum(sizes) + max(sizes):
        raise UserError(
            f"{folder} has {free / 1e9:.1f} GB of free space: {kind} needs "
            f"{(sum(sizes) + max(sizes)) / 1e9:.1f} GB (weights and one scratch file)"
        )
    (folder / checkpoint.CONFIG).unlink(missing_ok=True)
    if model.unused:
        files.write_tensors(folder / UNUSED, {key: tensors[key] for key in ignored})
    _write_json(folder / TORCH_CONFIG, original)
    faults: list[str] = []
    lazy = trees.unflatten({path: _lazy(leaf, tensors, folder, faults) for path, leaf in leaves.items()})
    types = {leaf.dtype for leaf in leaves.values()}
    if len(types) == 1:
        cfg = with_param_dtype(cfg, types.pop().name)
    beside = [TORCH_CONFIG, *([UNUSED] if model.unused else [])]
    checkpoint.stream_params(
        folder, lazy, descriptions.to_json(cfg), files=beside, check=lambda: _raise_non_finite(source, faults)
    )
    return PartReport(
        kind,
        len(tensors) - len(ignored),
        sum(int(np.prod(leaf.shape)) for leaf in leaves.values()),
        sum(sizes),
        ignored=ignored,
        note=unwrapped.note,
    )


def _raise_non_finite(source: Path, faults: list[str]) -> None:
    if faults:
        raise UserError(
            f"{source}: {len(faults)} tensors hold numbers that are not finite, a sampler would give black frames: "
            f"{by_pattern(faults)}"
        )


def with_param_dtype(cfg: Any, name: str) -> Any:
    """A description of any model with another type of weights."""
    if isinstance(cfg, descriptions.BranchConfig):
        return descriptions.BranchConfig(dit=with_param_dtype(cfg.dit, name))
    return dataclasses.replace(cfg, param_dtype=name)


def _lazy(leaf: engine.Leaf, tensors: Mapping[str, Any], folder: Path, faults: list[str]) -> checkpoint.LazyLeaf:
    def read() -> np.ndarray:
        out: np.ndarray
        if int(np.prod(leaf.shape)) * leaf.dtype.itemsize <= _IN_MEMORY:
            out = np.empty(leaf.shape, leaf.dtype)
        else:
            # a nameless file: pages go to disk instead of filling memory, and nothing is left behind even by a crash
            with tempfile.TemporaryFile(dir=folder) as scratch:
                out = np.memmap(scratch, leaf.dtype, "w+", shape=leaf.shape)
        out = leaf.fill(tensors, out).view(np.ndarray)
        faults.extend(leaf.faults(tensors, out))
        return out

    return checkpoint.LazyLeaf(leaf.shape, leaf.dtype, read)


def _convert_adapter(
    kind: str, source: Path, folder: Path, dtype: Any, num_layers: int | None, scale: float | None
) -> PartReport:
    if scale is not None:
        check_number("scale", scale)
    if num_layers is not None:
        check_number("num_layers", num_layers)
    weights = files.find_weights(source)
    stored = None
    if scale is None:
        stored = read_stored(weights, read_header(weights) if weights.suffix == ".safetensors" else {})
    tensors = {key: np.asarray(tensor) for key, tensor in files.read_tensors(weights).items()}
    cfg, tree, scale_source, note = lora.convert_lora(
        tensors, num_layers, scale=scale, extra_keys=kind == "id_adapter", stored=stored
    )
    flat = trees.flatten(tree)
    with np.errstate(over="ignore"):
        written = {path: x.astype(dtype or engine.kept_type(x.dtype)) for path, x in flat.items()}
    _raise_non_finite(source, [fault for path in flat if (fault := fault_of(path, flat[path], written[path]))])
    lazy = {path: checkpoint.LazyLeaf(x.shape, x.dtype, functools.partial(_same, x)) for path, x in written.items()}
    checkpoint.stream_params(folder, trees.unflatten(lazy), descriptions.to_json(cfg))
    notes = [f"rank {cfg.rank}, scale {cfg.scale:g} ({scale_source})", *([note] if note else [])]
    return PartReport(
        kind,
        len(tensors),
        sum(x.size for x in written.values()),
        sum(x.nbytes for x in written.values()),
        note="; ".join(notes),
    )


def _same(x: np.ndarray) -> np.ndarray:
    return x


def _convert_scheduler(source: Path, folder: Path) -> PartReport:
    original = read_json(source / scheduler.SOURCE if source.is_dir() else source, _ORIGINAL)
    values = scheduler.config_from_torch(original)
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / TORCH_CONFIG, original)
    checkpoint.save_config(folder, values, files=[TORCH_CONFIG])
    return PartReport("scheduler", note=f"snr shift {values['snr_shift']:g}")


def copy_tokenizer(source: Path, folder: Path) -> PartReport:
    """Copy the tokenizer; its model goes last, so that a folder that has it is complete.

    Raises:
      UserError: no ``spiece.model``.
    """
    find_tokenizer(source)
    start = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(p.name for p in source.iterdir() if p.is_file() and p.name != digests.FILE)
    (folder / digests.FILE).unlink(missing_ok=True)
    for name in sorted(names, key=lambda name: name == TOKENIZER_MODEL):
        if (source / name).resolve() != (folder / name).resolve():
            check_file(source / name)
            data = read_bytes(source / name, _MOST_TOKENIZER)
            write_atomically(folder / name, functools.partial(Path.write_bytes, data=data))
    digests.record_files(folder, names)
    size = sum((folder / name).stat().st_size for name in names)
    return PartReport("tokenizer", bytes=size, seconds=time.perf_counter() - start, note=f"{len(names)} files copied")


def export(kind: str, folder: Path, target: Path) -> PartReport:
    """Our folder -> safetensors in the original layout, types as stored. The complete model is read into memory.

    Raises:
      UserError: not one of our folders, of another kind, or a tree that does not fit its model.
    """
    if kind not in KINDS:
        raise UserError(f"kind {kind!r}: expected one of {', '.join(KINDS)}")
    start = time.perf_counter()
    folder, target = Path(folder), Path(target)
    values = checkpoint.load_config(folder)
    expected = OUR_KINDS.get(kind, kind)
    if values["kind"] != expected:
        raise UserError(
            f"{folder} holds a {values['kind']}, not a {expected}: expected a folder made by "
            f"`python -m convert one {kind}`"
        )
    if target.is_file() or (target / checkpoint.PARAMS).exists():
        raise UserError(f"{target}: expected an empty folder to write the original layout to")
    original = None
    if (folder / TORCH_CONFIG).exists():
        check_file(folder / TORCH_CONFIG)
        original = read_json(folder / TORCH_CONFIG, _ORIGINAL)
    if kind == "scheduler":
        if original is None or scheduler.config_from_torch(original) != values:
            original = scheduler.config_to_torch(values)
        _write_json(target / scheduler.SOURCE, original)
        return PartReport(kind, seconds=time.perf_counter() - start)
    cfg = descriptions.from_json(values)
    if kind == "vae" and cfg.design != descriptions.VAEConfig.design:
        raise UserError(f"{folder}: an autoencoder of {cfg.design} has no PyTorch layout, only one of convolutions has")
    tree = checkpoint.load_params(folder)
    note = ""
    if kind in ADAPTERS:
        tensors: dict[str, Any] = lora.lora_to_torch(cfg, tree)
        files.write_tensors(target / "pytorch_lora_weights.safetensors", tensors, lora.scale_header(cfg, tensors))
        note = f"scale {cfg.scale:g} in the header, where diffusers finds it; other programs have to be given it"
    else:
        model = MODELS[kind]
        tensors = _model_to_torch(kind, folder, cfg, tree)
        files.write_tensors(target / model.weights, tensors)
        config = model.to_torch(cfg)
        if original is None or model.to_torch(model.from_torch(original)) != config:
            original = config  # edited here since
        _write_json(target / "config.json", original)
    size = sum(int(np.prod(x.shape)) * np.dtype(x.dtype).itemsize for x in tensors.values())
    return PartReport(
        kind,
        len(tensors),
        sum(int(np.prod(x.shape)) for x in tensors.values()),
        size,
        time.perf_counter() - start,
        note=note,
    )


def _model_to_torch(kind: str, folder: Path, cfg: Any, tree: trees.Tree) -> dict[str, Any]:
    """All tensors of the original file, those the model does not use included."""
    model, stored = MODELS[kind], trees.flatten(tree)
    wanted = trees.flatten(model.abstract(cfg))
    faults = [
        path
        for path in {*wanted, *stored}
        if path not in wanted or path not in stored or tuple(wanted[path].shape) != tuple(stored[path].shape)
    ]
    if faults:
        raise UserError(f"{folder} does not fit its own description in {sorted(faults)}: convert it again")
    tensors: dict[str, Any] = dict(engine.to_torch(tree, model.rules, model.torch_shapes(cfg)))
    if model.unused:
        kept = folder / UNUSED
        if kept.exists():
            check_file(kept)
            tensors.update(files.read_tensors(kept))
        else:
            tensors.update(model.unused(cfg, next(iter(stored.values())).dtype))
    return tensors


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=1, sort_keys=True) + "\n")
