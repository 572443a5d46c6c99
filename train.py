"""Train VideoPainter's context encoder or ID adapter, or from scratch the VAE and the backbone that they need.

    python train.py --config configs/tpu_v4.py --workdir RUN \
        --config.model.checkpoint=CONVERTED --config.data.path=VPDATA [--config.optimizer.lr=2e-5 ...]
    python train.py --config configs/tiny.py --workdir RUN            a minute on a CPU, needs no files
    python train.py --config ... --compile_only v4:4x4x4              does the step fit a pod that you do not have?
    python train.py --config ... --workdir RUN --export               write the newest checkpoint's model and stop

CONVERTED is made by `python -m convert all`. Running the same command again continues where RUN ends; SIGTERM and
Ctrl-C save first. RUN holds checkpoints/, metrics.jsonl (curves: `vp-jax plots RUN`), pictures/,
data.jsonl (clips that could not be used), config.json, starts.jsonl (commit and versions of every start), and at
the end export/, whose folders replace those in CONVERTED.
"""

from __future__ import annotations

import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from vp_jax.cli.program import run_cli
from vp_jax.errors import UserError
from vp_jax.planning import aot
from vp_jax.runs import command
from vp_jax.runs.train import train

CONFIG = config_flags.DEFINE_config_file("config", None, "Settings: a file of configs/.", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run.")
EXPORT = flags.DEFINE_bool("export", False, "Write the newest checkpoint's model to WORKDIR/export and stop.")
COMPILE_ONLY = flags.DEFINE_string(
    "compile_only",
    None,
    "Compile the step for a TPU slice (v4:4x4x4, v5p:2x2x4, "
    "v6e:8x8; needs vp_jax[aot]) or for 'local' devices, say what it takes and stop.",
)


def parse(argv: list[str]) -> list[str]:
    """Flags into their places; what is left over. Mistakes are one line."""
    return command.parse(argv, CONFIG)


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise UserError(f"unexpected arguments {argv[1:]}: settings are given as --config.NAME=VALUE")
    if CONFIG.value is not None and COMPILE_ONLY.value is not None:
        return aot.compile_only(CONFIG.value, COMPILE_ONLY.value)
    if CONFIG.value is None or not WORKDIR.value:
        raise UserError("give --config configs/FILE.py and --workdir RUN, see python train.py --help")
    return train(CONFIG.value, Path(WORKDIR.value), export_only=EXPORT.value)


if __name__ == "__main__":
    run_cli(lambda: main(parse(sys.argv)))
