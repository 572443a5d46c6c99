"""Variants to compare: fillings without a model, the backbone alone, and VideoPainter with one change at a time.

A variant is the model's folder with some parts (``branch``, ``id_adapter``, ``transformer``) replaced by those of a
training run, ``RUNS/<run>/export``, and settings of the sampler. A variant whose run is missing is reported as absent,
with the command that trains it.
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
from vp_jax.inference.named import NAMED
from vp_jax.models.config import Injection

PARTS = ("transformer", "branch", "vae", "text_encoder", "tokenizer", "id_adapter", "scheduler")


@dataclass(frozen=True)
class Variant:
    """One row of the tables.

    Attributes:
      name: name in files.
      label: name in tables.
      kind: ``model``, ``vae`` (round trip of the truth) or the name of a filling.
      run: folder of its training run; empty to use the shipped weights.
      changes: settings of that run that differ from configs/nano_branch.py.
      settings: fields of `Settings` that differ.
      first_frame: frame 0 is given completely.
      id_adapter: attach the ID adapter.
      paper: the same row of the paper's tables.
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
        """Command that trains the weights of the variant; LATENTS is the folder of latent shards."""
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
"""Training steps of every variant with its own weights, so that variants are compared after the same training."""

SHIPPED = {"injection": NAMED["nano"].settings["injection"]}
"""Which tokens get hints in the model as it is shipped."""

DEFAULT = Variant("default", "VideoPainter as shipped", settings=SHIPPED, paper="default")
MEAN = Variant("mean", "mean colour of the frame", kind="mean")
BACKBONE = Variant(
    "backbone",
    "backbone alone, latents replaced (Cog-Inp)",
    settings={"injection": Injection(scale=0.0)},
    paper="Cog-Inp",
)
ALL_TOKENS = Variant(
    "all_tokens",
    "hints into every token",
    run="all_tokens",
    changes="--config.model.injection_tokens=all",
    settings={"injection": Injection(tokens="all")},
    paper="w/o selective tokens",
)
BRANCH_2 = Variant(
    "branch_2", f"2-layer context encoder, {STEPS} steps like those above", run="branch_2", paper="default"
)

SHORT = (
    MEAN,
    Variant("telea", "Telea, frame by frame", kind="telea"),
    Variant("diffusion", "colours diffused into the hole, frame by frame", kind="diffusion"),
    Variant("stretched_frame", "frame 0's thing, stretched to the box of each mask", kind="stretched_frame"),
    BACKBONE,
    Variant(
        "single_branch",
        "one branch: masked video into the backbone",
        run="single_branch",
        changes="--config.model.stage=single_branch",
        settings={"injection": Injection(scale=0.0)},
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
        settings={"injection": Injection(tokens="partial")},
    ),
    BRANCH_2,
    DEFAULT,
    Variant("no_first_frame", "as shipped, first frame not given", settings=SHIPPED, first_frame=False),
    Variant("vae", "VAE round trip of the truth (ceiling)", kind="vae"),
)

LONG = (
    MEAN,
    dataclasses.replace(BACKBONE, paper=""),
    Variant("no_id", "without ID adapter", settings=SHIPPED, paper="w/o ID resample (L)"),
    Variant("id", "ID adapter, clip weight 0", settings=SHIPPED, id_adapter=True, paper="with ID resample (L)"),
    Variant("no_id_clip", "without ID adapter, clip weight 0.5", settings={**SHIPPED, "clip_weight": 0.5}),
    Variant("id_clip", "ID adapter, clip weight 0.5", id_adapter=True, settings={**SHIPPED, "clip_weight": 0.5}),
    Variant("vae", "VAE round trip of the truth (ceiling)", kind="vae"),
)

EDITING = tuple(dataclasses.replace(variant, paper="") for variant in (MEAN, BACKBONE, ALL_TOKENS, BRANCH_2, DEFAULT))


def parts_of(variant: Variant, model: Path, runs: Path) -> dict[str, Path]:
    """Folders of the parts of a variant's model; empty if weights are missing."""
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
    """Make a checkpoint folder of links to ``parts``."""
    folder.mkdir(parents=True)
    for name, target in parts.items():
        (folder / name).symlink_to(target.resolve(), target_is_directory=True)
    return folder


def fingerprint(variant: Variant, parts: Mapping[str, Path], settings: Mapping[str, Any]) -> str:
    """Short digest of weights, settings, inputs and metrics: everything that a result depends on, without the clip."""
    facts = [variant.kind, variant.first_frame, dict(settings), [*METRICS]]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, folder in sorted(parts.items()):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{name}/{file.relative_to(folder)}".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
