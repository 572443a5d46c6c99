"""What is compared: fillings without a model, the backbone alone, and VideoPainter with one thing changed at a time.

A variant is the model's folder with some of its parts (``branch``, ``id_adapter``, ``transformer``) taken from a
training run of its own, ``RUNS/<run>/export``, and settings of the sampler. A variant whose run is not there is
reported as absent, with the command that makes it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.nano.results import METRICS

PARTS = ("transformer", "branch", "vae", "text_encoder", "tokenizer", "id_adapter", "scheduler")


@dataclass(frozen=True)
class Variant:
    """One row of the tables.

    Attributes:
      name, label: in files, and for people.
      kind: ``model``, ``vae`` (round trip of the truth) or the name of a filling.
      run, changes: folder of its own training run and what that run changes of configs/nano_branch.py; empty: none.
      settings: of `Settings`, changed.
      first_frame: frame 0 is given whole.
      id_adapter: attach it.
      paper: row of the paper's tables that asks the same.
    """

    name: str
    label: str
    kind: str = "model"
    run: str = ""
    changes: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    first_frame: bool = True
    id_adapter: bool = False
    paper: str = ""

    def command(self, model: Path, runs: Path) -> str:
        """What trains the variant's weights; LATENTS as for configs/nano_branch.py."""
        return " ".join(
            filter(
                None,
                (
                    "python train.py --config configs/nano_branch.py",
                    f"--workdir {runs / self.run} --config.steps={STEPS}",
                    self.changes,
                    f"--config.model.checkpoint={model} --config.data.path=LATENTS",
                ),
            )
        )


STEPS = 800
"""Of every variant with weights of its own, so that they are compared after the same training."""

DEFAULT = Variant("default", "VideoPainter as shipped", paper="default")
MEAN = Variant("mean", "mean colour of the frame", kind="mean")
BACKBONE = Variant(
    "backbone", "backbone alone, latents replaced (Cog-Inp)", settings={"hint_scale": 0.0}, paper="Cog-Inp"
)
ALL_TOKENS = Variant(
    "all_tokens",
    "hints into every token",
    run="all_tokens",
    changes="--config.model.injection_tokens=all",
    settings={"hint_tokens": "all"},
    paper="w/o selective tokens",
)
BRANCH_2 = Variant(
    "branch_2", f"2-layer context encoder, {STEPS} steps like those above", run="branch_2", paper="default"
)

SHORT = (
    MEAN,
    Variant("telea", "Telea, frame by frame", kind="telea"),
    BACKBONE,
    Variant(
        "single_branch",
        "one branch: masked video into the backbone",
        run="single_branch",
        changes="--config.model.stage=single_branch",
        settings={"hint_scale": 0.0},
        paper="Single-branch",
    ),
    Variant(
        "branch_1",
        "1-layer context encoder",
        run="branch_1",
        changes="--config.model.branch_layers=1",
        paper="1-layer branch",
    ),
    Variant(
        "branch_4",
        "4-layer context encoder",
        run="branch_4",
        changes="--config.model.branch_layers=4",
        paper="4-layer branch",
    ),
    ALL_TOKENS,
    Variant(
        "partial",
        "hints into every token with some background",
        run="partial",
        changes="--config.model.injection_tokens=partial",
        settings={"hint_tokens": "partial"},
    ),
    BRANCH_2,
    DEFAULT,
    Variant("no_first_frame", "default, first frame not given", first_frame=False),
    Variant("vae", "VAE round trip of the truth (ceiling)", kind="vae"),
)

LONG = (
    MEAN,
    dataclasses.replace(BACKBONE, paper=""),
    Variant("no_id", "without ID adapter", paper="w/o ID resample (L)"),
    Variant("id", "ID adapter, clip weight 0", id_adapter=True, paper="with ID resample (L)"),
    Variant("no_id_clip", "without ID adapter, clip weight 0.5", settings={"clip_weight": 0.5}),
    Variant("id_clip", "ID adapter, clip weight 0.5", id_adapter=True, settings={"clip_weight": 0.5}),
    Variant("vae", "VAE round trip of the truth (ceiling)", kind="vae"),
)

EDITING = tuple(dataclasses.replace(variant, paper="") for variant in (MEAN, BACKBONE, ALL_TOKENS, BRANCH_2, DEFAULT))


def parts_of(variant: Variant, model: Path, runs: Path) -> dict[str, Path]:
    """The folder of every part of a variant's model; ``{}`` if some weights are not there."""
    parts = {name: model / name for name in PARTS if (model / name).is_dir()}
    if not variant.id_adapter:
        parts.pop("id_adapter", None)
    elif "id_adapter" not in parts:
        return {}
    if variant.run:
        own = {name: runs / variant.run / "export" / name for name in PARTS}
        own = {name: folder for name, folder in own.items() if folder.is_dir()}
        if not own:
            return {}
        parts.update(own)
    return parts if {"transformer", "branch", "vae", "text_encoder", "tokenizer"} <= set(parts) else {}


def composed(parts: Mapping[str, Path], folder: Path) -> Path:
    """A checkpoint folder of links to ``parts``."""
    folder.mkdir(parents=True)
    for name, target in parts.items():
        (folder / name).symlink_to(target.resolve(), target_is_directory=True)
    return folder


def fingerprint(variant: Variant, parts: Mapping[str, Path], settings: Mapping[str, Any]) -> str:
    """Short digest of everything a result depends on but the clip: weights, settings, what is given and measured."""
    facts = [variant.kind, variant.first_frame, dict(settings), [*METRICS]]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, folder in sorted(parts.items()):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{name}/{file.relative_to(folder)}".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
