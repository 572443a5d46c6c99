"""One checkpoint folder from several runs, small enough to be shipped: what ``vp_jax/nano`` is made with.

Later runs replace the exports of earlier ones. Weights are stored in bfloat16; ``provenance.json`` says
of each run its settings, commits, steps and last metrics. The command is ``vp-jax package``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from vp_jax import checkpoint, trees
from vp_jax.errors import UserError
from vp_jax.files import check_writable, write_text
from vp_jax.scalars import read_metrics

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
      UserError: a run that is not finished or not known, an ``out`` that cannot be written, or a result larger than
        `LIMIT`.
    """
    check_writable(out)
    known = {entry["run"]: entry for entry in _written(out)} if keep else {}
    unknown = sorted({*keep} - {*known})
    if unknown:
        raise UserError(f"keep {', '.join(unknown)}: {out} knows {', '.join(known) or 'no run'}")
    parts: dict[str, Path] = {}
    for run in runs:
        folders = sorted(path for path in (run / "export").glob("*") if path.is_dir())
        if not folders:
            raise UserError(f"{run}: no export/ in it, expected the workdir of a finished training run")
        parts.update({folder.name: folder for folder in folders})
    facts = {"weights": "bfloat16", "runs": [*(known[name] for name in keep), *(_facts(run) for run in runs)]}
    for name, folder in parts.items():
        if (folder / checkpoint.PARAMS).is_dir():
            weights = trees.cast(checkpoint.load_params(folder), jnp.bfloat16)
            checkpoint.save_params(out / name, weights, checkpoint.load_config(folder))
            # Orbax's mark for object stores; it names the folder of this machine, and reading needs it on no disk
            (out / name / checkpoint.PARAMS / "commit_success.txt").unlink(missing_ok=True)
        else:
            shutil.copytree(folder, out / name, dirs_exist_ok=True)
    write_text(out / PROVENANCE, json.dumps(facts, indent=1) + "\n")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    if size > LIMIT:
        raise UserError(f"{out} has {size / 1e6:.1f} MB, expected at most {LIMIT / 1e6:.0f}: a smaller model")
    return size


def _written(folder: Path) -> list[dict[str, Any]]:
    file = folder / PROVENANCE
    return json.loads(file.read_text())["runs"] if file.is_file() else []


def _facts(run: Path) -> dict[str, Any]:
    try:
        config = json.loads((run / "config.json").read_text())
        starts = [json.loads(line) for line in (run / "starts.jsonl").read_text().splitlines()]
        lines = read_metrics(run)
        last = next(line for line in reversed(lines) if "loss" in line)
    except (OSError, ValueError, StopIteration) as error:
        raise UserError(
            f"{run}: its config.json, starts.jsonl or metrics.jsonl is missing or damaged ({error}), "
            f"expected the complete workdir of a finished run"
        ) from error
    # paths of the machine are no fact of the weights
    for group in (config["model"], config["data"], config.get("validation", {}), config):
        for name in ("checkpoint", "init_from", "tokenizer", "path", "csv", "clips", "compilation_cache"):
            if isinstance(group.get(name), str):
                group[name] = Path(group[name]).name
    return {
        "run": run.name,
        "stage": config["model"]["stage"],
        "step": lines[-1]["step"],
        "data_seed": config["seed"],
        "starts": starts,
        "metrics": last,
        "validation": next((line for line in reversed(lines) if "val_psnr" in line), None),
        "config": config,
    }


def table(folder: Path) -> str:
    """The runs behind ``folder`` as Markdown.

    Raises:
      UserError: nothing was packaged there.
    """
    if not (folder / PROVENANCE).is_file():
        raise UserError(f"{folder}: no {PROVENANCE} in it; give the runs to make one")
    lines = ["| run | stage | steps | loss at the end | validation PSNR, dB | commit |", "|---|---|---|---|---|---|"]
    for run in _written(folder):
        value = run["validation"] and run["validation"]["val_psnr"]
        commits = ", ".join(start["commit"][:7] for start in run["starts"])
        lines.append(
            f"| {run['run']} | {run['stage']} | {run['step']} | {run['metrics']['loss']:.4f} | "
            f"{f'{value:.2f}' if value else '-'} | {commits} |"
        )
    return "\n".join(lines)
