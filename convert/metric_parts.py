"""One network of `vp_jax.convert.metrics` at a time: public files -> our folder."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax import checkpoint, trees
from vp_jax.convert import engine
from vp_jax.convert.metrics import METRICS, read_metric
from vp_jax.convert.names import by_pattern
from vp_jax.convert.parts import PartReport
from vp_jax.errors import UserError
from vp_jax.files import write_atomically
from vp_jax.models.metrics.description import MetricConfig, abstract_metric, metric_to_json
from vp_jax.reading import read_bytes, read_json, show

_MOST_BESIDE = 64 << 20
"""Bytes of the largest file of a tokenizer."""


def convert_metric(kind: str, source: Path, folder: Path, dtype: Any = None) -> PartReport:
    """Convert one network.

    Args:
      kind: a key of `METRICS`.
      source: folder of the public files, or one weights file.
      folder: our folder; what an earlier run left there is replaced.
      dtype: of floating weights; ``None`` keeps the stored types.

    Raises:
      UserError: unreadable or unfitting files (all faults in one message), or ``folder`` holds something else.
    """
    start = time.perf_counter()
    entry = METRICS[kind]
    tensors, values = entry.adapt(*read_metric(source))
    description = entry.describe(values)
    _claim(folder, description)
    named = {entry.rename(key): tensor for key, tensor in tensors.items()}
    leaves, ignored = engine.plan(named, entry.rules, entry.ignored, abstract_metric(description)[1], dtype)
    missing = [name for name in entry.beside if not (source / name).is_file()]
    if missing:
        raise UserError(f"no {missing[0]} in {show(source)}: a {kind} needs {', '.join(entry.beside)} of its tokenizer")
    folder.mkdir(parents=True, exist_ok=True)
    for name in entry.beside:
        data = read_bytes(source / name, _MOST_BESIDE)
        write_atomically(folder / name, functools.partial(Path.write_bytes, data=data))
    faults: list[str] = []

    def read(leaf: engine.Leaf) -> np.ndarray:
        array = leaf.fill(named, np.empty(leaf.shape, leaf.dtype))
        faults.extend(leaf.faults(named, array))
        return array

    def check() -> None:
        if faults:
            raise UserError(f"{show(source)}: tensors hold numbers that are not finite: {by_pattern(faults)}")

    lazy = {
        path: checkpoint.LazyLeaf(leaf.shape, leaf.dtype, functools.partial(read, leaf))
        for path, leaf in leaves.items()
    }
    checkpoint.stream_params(
        folder, trees.unflatten(lazy), metric_to_json(description), files=entry.beside, check=check
    )
    sizes = [int(np.prod(leaf.shape)) for leaf in leaves.values()]
    size = sum(n * leaf.dtype.itemsize for n, leaf in zip(sizes, leaves.values()))
    seconds = time.perf_counter() - start
    return PartReport(kind, len(named) - len(ignored), sum(sizes), size, seconds, ignored)


def _claim(folder: Path, description: MetricConfig) -> None:
    """Raise `UserError` if the folder holds something else than an earlier run's network of this kind."""
    if not folder.exists():
        return
    held = None
    if folder.is_dir():
        if not any(folder.iterdir()):
            return
        config = folder / checkpoint.CONFIG
        held = read_json(config).get("kind") if config.is_file() else None
    if held != description.kind:
        raise UserError(f"{show(folder)} holds something else than a {description.kind}: choose another folder")
