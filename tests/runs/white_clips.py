"""A run on clips of which some have a loss that is not finite; as a program, it is one of several processes.

python -m tests.runs.white_clips PROCESS COUNT ADDRESS FOLDER WHITE[,WHITE...]
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from tests.test_configs import config_of
from tests.training.stages.toy import ToyStage
from vp_jax.cli.program import run_cli
from vp_jax.data.records import ClipInfo
from vp_jax.runs import input_pipeline
from vp_jax.runs.train import train
from vp_jax.training.encode import EncodedClips
from vp_jax.training.models import Descriptions, behind_encoders
from vp_jax.training.stages import registry


@dataclasses.dataclass(frozen=True)
class Clip:
    """A grey clip, or a white one."""

    number: int
    white: bool

    origin, caption = "drawn", "a clip"

    @property
    def id(self):
        return f"clip {self.number}"

    def open(self):
        return ClipInfo(9, 8.0)

    def read(self, indices_F):
        frames_FHWC = np.full((len(indices_F), 16, 16, 3), 255 if self.white else 10 * self.number, np.uint8)
        return frames_FHWC, np.ones(frames_FHWC.shape[:3], np.uint8)


@dataclasses.dataclass(frozen=True)
class Clips:
    """Six clips; those of ``white`` have a loss that is not finite."""

    white: tuple[int, ...]

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return Clip(index, index in self.white)


class WhiteIsNotFinite(ToyStage):
    """White clips have latents that are no numbers."""

    def inputs(self, encoders, weights, batch, key):
        level_B = batch.pixels_BFHWC.mean((1, 2, 3, 4)) / 255
        latents = jnp.where(level_B > 0.99, jnp.nan, level_B)[:, None, None, None, None]
        return EncodedClips(jnp.broadcast_to(latents, (*level_B.shape, 3, 2, 2, self.backbone.out_channels)), None)


def models(cfg, platform=None):
    """The toy stage on white clips."""
    found = Descriptions.of(cfg).computed(cfg, platform)
    return behind_encoders(cfg, found, WhiteIsNotFinite(found.backbone))


def settings(*, steps: int = 6, batch: int = 2) -> ConfigDict:
    """Settings of a run on `Clips`."""
    config = config_of("tiny")
    config.model.stage, config.steps, config.log_every = "toy", steps, 1
    config.checkpoints.every, config.validation.every = 2, 0
    config.loader.update(height=16, width=16, batch_size=batch, threads=0)
    return config


def main() -> int:
    """Train; a bad step ends the program as it ends ``train.py``."""
    process, count, address, folder, white = sys.argv[1:]
    registry.STAGES["toy"] = models
    input_pipeline.open_source = lambda data, loader, **_: Clips(tuple(map(int, white.split(","))))
    config = settings(batch=2 * int(count))
    config.mesh.data, config.distributed = int(count), f"{address},{count},{process}"
    return train(config, Path(folder))


if __name__ == "__main__":
    run_cli(main)
