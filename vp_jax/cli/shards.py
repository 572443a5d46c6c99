"""VPData as ArrayRecord shards, written by Apache Beam; neither writing nor reading them needs TensorFlow.

    vp-jax shards --data DATA --csv train=train.csv --csv validation=val.csv --out OUT [-- BEAM OPTIONS]

One record per usable row. Rows that cannot be used are named in bad-<split>*.jsonl beside the shards. Train with
--config.data.path=OUT. The pipeline runs on this machine; what follows -- goes to Beam:
-- --runner=FlinkRunner --flink_master=..., or -- --direct_num_workers=8 --direct_running_mode=multi_processing.
"""

from __future__ import annotations

import argparse

from vp_jax.cli.parser import Parser
from vp_jax.errors import UserError


def add_arguments(parser: Parser) -> None:
    """The flags of this command."""
    parser.passes_on = "beam_options"
    inputs = parser.add_argument_group("input")
    inputs.add_argument("--data", required=True, help="folder in VPData's own layout")
    inputs.add_argument(
        "--csv", required=True, action="append", metavar="SPLIT=FILE", help="rows of a split; repeat for more splits"
    )
    outputs = parser.add_argument_group("output")
    outputs.add_argument("--out", required=True, help="folder of the shards")
    outputs.add_argument(
        "--content",
        default="source",
        choices=("source", "clips"),
        help="video files as they are, or only the frames that a row names, encoded again; default: source",
    )


def run(args: argparse.Namespace) -> None:
    """Write the shards and print their folder."""
    if any("=" not in pair for pair in args.csv):
        raise UserError(f"--csv {' '.join(args.csv)}: expected SPLIT=FILE, such as train=train.csv")
    from vp_jax.data.shards.vpdata_tfds import VpdataConfig, build
    from vp_jax.data.sources.vpdata import Layout

    csvs = dict(pair.split("=", 1) for pair in args.csv)
    print(build(VpdataConfig(Layout.under(args.data), csvs, args.content), args.out, args.beam_options or None))
