"""The converter as the command line calls it (``vp-jax convert``): a table row for every part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from vp_jax import checkpoint
from vp_jax.convert import layout, metric_parts, parts
from vp_jax.convert.kinds import ADAPTERS
from vp_jax.convert.metrics import METRICS
from vp_jax.errors import UserError

NUMPY_TYPES: dict[str, Any] = {
    "bfloat16": ml_dtypes.bfloat16,
    "float16": np.float16,
    "float32": np.float32,
    "stored": None,
}
_ROW = "{:<13}{:>8}{:>16}{:>10}{:>9}{:>9}  {}"


def header() -> None:
    """Print the titles of the table."""
    print(_ROW.format("kind", "tensors", "parameters", "GB", "seconds", "ignored", "").rstrip(), flush=True)


def _print(report: parts.PartReport) -> None:
    note = report.note
    if report.ignored:
        note = f"{note}{'; ' if note else ''}{len(report.ignored)} not used: {', '.join(report.ignored[:3])}" + (
            ", ..." if len(report.ignored) > 3 else ""
        )
    print(
        _ROW.format(
            report.kind,
            report.tensors,
            f"{report.parameters:,}",
            f"{report.bytes / 1e9:.3f}",
            f"{report.seconds:.1f}",
            len(report.ignored),
            note,
        ).rstrip(),
        flush=True,
    )


def _dtype(kind: str, name: str | None) -> Any:
    return NUMPY_TYPES[name or ("stored" if kind in ADAPTERS else "bfloat16")]


def convert_all(
    source: Path, folder: Path, *, base: str | None = None, dtype: str | None = None, force: bool = False
) -> None:
    """Convert every part below ``source`` that VideoPainter needs; parts that an earlier run finished are kept.

    Args:
      source: folder of the published files.
      folder: of our parts; made if need be.
      base: which CogVideoX folder, where there are several.
      dtype: a key of `NUMPY_TYPES`; default bfloat16, adapters as stored.
      force: redo finished parts too.

    Raises:
      UserError: files that are missing or cannot be used.
    """
    found = layout.find_parts(source, base)
    backbone = layout.check(found)
    for part, place in found.items():
        out = folder / part
        if place is None:
            _print(parts.PartReport(part, note="absent"))
        elif parts.is_complete(out) and not force:
            _check_kept(part, out, dtype)
            _print(parts.PartReport(part, note="kept from an earlier run (--force redoes it)"))
        elif part == "tokenizer":
            _print(parts.copy_tokenizer(place, out))
        else:
            _print(parts.convert(part, place, out, _dtype(part, dtype), num_layers=backbone.num_layers))


def convert_one(
    kind: str,
    source: Path,
    folder: Path,
    *,
    dtype: str | None = None,
    scale: float | None = None,
    num_layers: int | None = None,
) -> None:
    """Convert one part, see `parts.convert`, or a network of scores, which keeps its types.

    ``dtype`` as of `convert_all`.
    """
    if kind in METRICS:
        _print(metric_parts.convert_metric(kind, source, folder, NUMPY_TYPES[dtype or "stored"]))
        return
    _print(parts.convert(kind, source, folder, _dtype(kind, dtype), num_layers=num_layers, scale=scale))


def export_part(kind: str, source: Path, folder: Path) -> None:
    """Write one part in the original layout, see `parts.export`."""
    _print(parts.export(kind, source, folder))


def _check_kept(part: str, folder: Path, name: str | None) -> None:
    if part == "tokenizer" or name in (None, "stored"):
        return
    values = checkpoint.load_config(folder)
    kept = values.get("dit", values).get("param_dtype", name)
    if kept != name:
        raise UserError(f"{folder} is already converted in {kept}, --dtype is {name}: add --force to convert it again")
