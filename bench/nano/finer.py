"""Make a model whose tokens are single latent cells of one whose tokens are 2 x 2 cells.

    python -m bench.nano.finer CHECKPOINT FOLDER

A step of the finer model takes five times as long, so nano is trained coarse first. Every map between a token's values
and its width becomes the mean of the four maps of its cells, the embedding's doubled: four times fewer values sum up to
half the deviation. A cell takes the position of the token that it was part of; rotary positions stretch by
themselves. The result is no model yet: configs/nano_fine.py continues from it, and is where CHECKPOINT was after 2,400
clips (docs/nano/experiments.md).
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from vp_jax import checkpoint, trees
from vp_jax.cli.parser import Parser
from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError
from vp_jax.models.config import BranchConfig, DiTConfig, to_json
from vp_jax.models.folder import BACKBONE, BRANCH, SCHEDULER, TEXT_ENCODER, TOKENIZER, CheckpointFolder, abstract_model
from vp_jax.shapes import latent_frames

PATCH = 2
"""Rows and columns of latent cells in a token of the model that is read."""


def finer_embedding(embedding: trees.Tree, cfg: DiTConfig) -> trees.Tree:
    """The patch embedding of tokens of single cells, from that of ``cfg``."""
    kernel_VD = np.asarray(embedding["proj"]["kernel"])
    finer: dict[str, Any] = dict(embedding)
    finer["proj"] = {**embedding["proj"], "kernel": 2 * kernel_VD.reshape(cfg.in_channels, PATCH**2, -1).mean(1)}
    if "pos_embedding" in embedding:
        table_ND = np.asarray(embedding["pos_embedding"])
        grid = latent_frames(cfg.sample_frames), cfg.sample_height // PATCH, cfg.sample_width // PATCH
        text_MD, video_ND = np.split(table_ND, [len(table_ND) - int(np.prod(grid))])
        video_ThwD = video_ND.reshape(*grid, -1).repeat(PATCH, 1).repeat(PATCH, 2)
        finer["pos_embedding"] = np.concatenate([text_MD, video_ThwD.reshape(-1, table_ND.shape[1])])
    return finer


def finer_output(output: trees.Tree, cfg: DiTConfig) -> trees.Tree:
    """The map from a token's width to its values, for tokens of single cells."""
    kernel_DV, bias_V = np.asarray(output["kernel"]), np.asarray(output["bias"])
    split = cfg.out_channels, PATCH**2
    return {"kernel": kernel_DV.reshape(-1, *split).mean(-1), "bias": bias_V.reshape(split).mean(-1)}


def write_finer(source: CheckpointFolder, out: Path) -> None:
    """Write the finer backbone and context encoder of a checkpoint folder, and copies of its text encoder.

    Raises:
      UserError: tokens of another size.
    """
    for part in (BACKBONE, BRANCH):
        description = source.describe(part)
        assert isinstance(description, DiTConfig | BranchConfig)
        cfg = description if isinstance(description, DiTConfig) else description.dit
        if cfg.patch != PATCH or cfg.patch_t:
            raise UserError(f"{part.folder}: tokens of {cfg.patch} x {cfg.patch} cells, expected {PATCH} x {PATCH}")
        finer_cfg = dataclasses.replace(cfg, patch=1)
        params = dict(checkpoint.load_params(source.of(part), abstract_model(description)[1]))
        params["patch_embed"] = finer_embedding(params["patch_embed"], cfg)
        if "proj_out" in params:
            params["proj_out"] = finer_output(params["proj_out"], cfg)
        finer = finer_cfg if isinstance(description, DiTConfig) else dataclasses.replace(description, dit=finer_cfg)
        checkpoint.save_params(out / part.folder, params, to_json(finer))
    for name in (TEXT_ENCODER.folder, TOKENIZER, SCHEDULER):
        shutil.copytree(source.place(name), out / name)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a model whose tokens are 2 x 2 latent cells")
    parser.add_argument("out", type=Path, help="folder to write")
    args = parser.parse_args(argv)
    if args.out.exists():
        raise UserError(f"{args.out}: exists already, expected the name of a new folder")
    write_finer(CheckpointFolder.existing(args.model), args.out)
    print(f"done     {args.out}")


if __name__ == "__main__":
    run_cli(main)
