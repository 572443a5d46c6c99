"""A small job for `vp-jax sample`: its frames and holes, and how it is run."""

from __future__ import annotations

import numpy as np
import pytest

from tests import clip_files
from vp_jax.cli.main import run
from vp_jax.cli.program import run_cli

F, H, W = 14, 45, 61
FRAMES = clip_files.moving(F, H, W)
HOLES = np.zeros((F, H, W), bool)
HOLES[:, 10:30, 20:45] = True


def argv(flags: dict) -> list[str]:
    out: list[str] = []
    for name, value in flags.items():
        out += [name] if value is True else [name, str(value)]
    return out


def status(flags: dict) -> int:
    with pytest.raises(SystemExit) as caught:
        run_cli(lambda: run(["sample", *argv(flags)]))
    return caught.value.code
