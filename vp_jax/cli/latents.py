"""A data set as latent shards: run VAE and T5 once, train many times.

    vp-jax latents --config nano_branch --out LATENTS --config.model.checkpoint=CHECKPOINT \\
        --config.data.kind=synthetic --config.data.synthetic_clips=3000 [-- BEAM OPTIONS]

Windows, masks and noise are drawn as the run's settings say (loader, augment, seed), --masks masks and --images noisy
first frames for each window. Captions are stored as they are: training embeds them, since a text encoder costs nothing
beside a VAE when it is small. Of full-size models T5's embeddings belong into the shards: --text. Train with
--config.data.kind=latents --config.data.path=LATENTS. With --parts 20 the shards are built in 20 parts, one after the
other: the same command continues an interrupted build with the first part that is missing. Training reads all data sets
below LATENTS as one. What follows -- goes to Beam, for instance
-- --direct_num_workers=2 --direct_running_mode=multi_processing.
"""

from __future__ import annotations

import argparse

from vp_jax.cli import settings
from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.passes_on = "beam_options"
    settings.add_arguments(parser, parser.add_argument_group("input"))
    outputs = parser.add_argument_group("output")
    outputs.add_argument("--out", help="folder of the shards")
    outputs.add_argument(
        "--masks", type=int, default=4, help="per window; 0: clean latents, as the backbone stage takes them"
    )
    outputs.add_argument("--images", type=int, default=2, help="noisy first frames per window")
    outputs.add_argument("--windows", type=int, default=1, help="per clip")
    outputs.add_argument(
        "--parts", type=int, default=1, help="built one after the other; those that are built are kept"
    )
    outputs.add_argument("--text", action="store_true", help="store the embeddings of captions")


def run(args: argparse.Namespace) -> None:
    """Write the shards; says how many clips went into them and how long it took."""
    config = settings.read(args)
    if config is None or args.out is None or not config.model.checkpoint:
        raise UserError("give --config FILE, --out FOLDER and --config.model.checkpoint=FOLDER")
    from vp_jax.runs import latent_shards

    latent_shards.build_latent_shards(
        config,
        args.out,
        masks=args.masks,
        images=args.images,
        windows=args.windows,
        text=args.text,
        parts=args.parts,
        beam_options=args.beam_options or None,
    )
