"""One checkpoint folder from several runs, small enough to be shipped: what ``vp_jax/nano`` is made with.

Later runs replace the exports of earlier ones. Weights are stored in bfloat16; ``provenance.json`` says
of each run its settings, commits, steps and last metrics. A run's ``sampling.json`` goes along. The command is
``vp-jax package``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from vp_jax import checkpoint, trees
from vp_jax.errors import UserError
from vp_jax.files import check_writable, write_text
from vp_jax.inference.named import SAMPLING_FILE
from vp_jax.reading import check_tree, parse_json, read_bytes, read_json, show
from vp_jax.runs.workdir import STARTS
from vp_jax.scalars import METRICS_FILE, read_metrics

PROVENANCE = "provenance.json"
LIMIT = 25e6
"""Bytes that a shipped folder may have."""


def package(runs: Sequence[Path], out: Path, keep: Sequence[str] = ()) -> int:
    """Write the folder ``out``; returns its bytes.

    Args:
      runs: finished workdirs, each after those that it starts from.
      out: the checkpoint folder; parts that no run exports stay.
      keep: runs of ``out/provenance.json`` that ``runs`` continue; their entries stay, before the new ones.

    Raises:
      UserError: a run that is not finished, not known or damaged, an ``out`` that cannot be written, or a result
        larger than `LIMIT`.
    """
    check_writable(out)
    known = {entry["run"]: entry for entry in _written(out)} if keep else {}
    unknown = sorted({*keep} - {*known})
    if unknown:
        raise UserError(f"keep {', '.join(unknown)}: {out} knows {', '.join(known) or 'no run'}")
    parts: dict[str, Path] = {}
    for run in runs:
        folders = sorted(path for path in (run / "export").glob("*") if path.is_dir())
        for folder in folders:
            check_tree(folder)
        if not folders:
            raise UserError(f"{run}: no export/ in it, expected the workdir of a finished training run")
        parts.update({folder.name: folder for folder in folders})
    facts = {"weights": "bfloat16", "runs": [*(known[name] for name in keep), *(_facts(run) for run in runs)]}
    for name, folder in parts.items():
        if (folder / checkpoint.PARAMS).is_dir():
            weights = trees.cast(checkpoint.load_params(folder), jnp.bfloat16)
            checkpoint.save_params(out / name, weights, checkpoint.load_config(folder), in_one_file=True)
        else:
            shutil.copytree(folder, out / name, dirs_exist_ok=True)
    for settings in (run / "export" / SAMPLING_FILE for run in runs):
        if settings.is_file():
            shutil.copy(settings, out / SAMPLING_FILE)
    write_text(out / PROVENANCE, json.dumps(facts, indent=1) + "\n")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if size > LIMIT:
        raise UserError(f"{out} has {size / 1e6:.1f} MB, expected at most {LIMIT / 1e6:.0f}: a smaller model")
    return size


def _written(folder: Path) -> list[dict[str, Any]]:
    file = folder / PROVENANCE
    if not os.path.lexists(file):
        return []
    expected = "the runs behind a packaged folder"
    entries = read_json(file, expected).get("runs")
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise UserError(f"{show(file)} holds other entries than `vp-jax package` writes: expected {expected}")
    return entries


def _is_entry(entry: Any) -> bool:
    """Whether an entry has what `table` shows."""
    try:
        _row(entry)
        return isinstance(entry["run"], str)
    except (TypeError, KeyError, ValueError):
        return False


def _facts(run: Path) -> dict[str, Any]:
    config = read_json(run / "config.json", "the settings of a finished run")
    lines = read_metrics(run)
    last = next((line for line in reversed(lines) if "loss" in line), None)
    if last is None:
        raise UserError(f"{show(run / METRICS_FILE)}: no step with a loss in it, expected that of a finished run")
    model, seed = config.get("model"), config.get("seed")
    if not isinstance(model, dict) or not isinstance(model.get("stage"), str) or not isinstance(seed, int):
        raise UserError(f"{show(run / 'config.json')}: no seed and model.stage in it, expected the settings of a run")
    # paths of the machine are no fact of the weights
    for group in (config, *(config.get(name) for name in ("model", "data", "validation"))):
        for name in ("checkpoint", "init_from", "tokenizer", "path", "csv", "clips", "compilation_cache"):
            if isinstance(group, dict) and isinstance(group.get(name), str):
                group[name] = Path(group[name]).name
    return {
        "run": run.name,
        "stage": model["stage"],
        "step": lines[-1]["step"],
        "data_seed": seed,
        "starts": _starts(run),
        "metrics": last,
        "validation": next((line for line in reversed(lines) if "val_psnr" in line), None),
        "config": config,
    }


def _starts(run: Path) -> list[dict[str, Any]]:
    file, expected = run / STARTS, "a line of JSON for every start of a run"
    starts = [parse_json(line, show(file), expected) for line in read_bytes(file).splitlines()]
    if not starts or not all(isinstance(start.get("commit"), str) for start in starts):
        raise UserError(f"{show(file)}: no commit in a line, expected {expected}")
    return starts


def table(folder: Path) -> str:
    """The runs behind ``folder`` as Markdown.

    Raises:
      UserError: nothing was packaged there, or its file is damaged.
    """
    if not os.path.lexists(folder / PROVENANCE):
        raise UserError(f"{show(folder)}: no {PROVENANCE} in it; give the runs to make one")
    lines = ["| run | stage | steps | loss at the end | validation PSNR, dB | commit |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, _written(folder))])


def _row(run: dict[str, Any]) -> str:
    value = run["validation"] and run["validation"]["val_psnr"]
    commits = ", ".join(start["commit"][:7] for start in run["starts"])
    return (
        f"| {run['run']} | {run['stage']} | {run['step']} | {run['metrics']['loss']:.4f} | "
        f"{f'{value:.2f}' if value else '-'} | {commits} |"
    )
