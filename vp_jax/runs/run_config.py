"""Settings of a run as checked descriptions: every mistake in them is found here, before anything is loaded."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vp_jax import trees
from vp_jax.data.augment import MaskAugment
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.errors import check_numbers
from vp_jax.inference.settings import Settings
from vp_jax.runs.boards import board_names
from vp_jax.runs.input_pipeline import DataConfig
from vp_jax.training.models import ModelConfig
from vp_jax.training.optim import OptimConfig
from vp_jax.training.step import StepConfig
from vp_jax.world.synthetic import HELD_OUT


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """How often a checkpoint is written, in steps (0: at the end alone), and how many of them stay."""

    every: int
    keep: int

    def __post_init__(self) -> None:
        check_numbers(self, "every", group="checkpoints.")
        check_numbers(self, "keep", 1, group="checkpoints.")


@dataclasses.dataclass(frozen=True)
class ValidationConfig:
    """What is sampled in training, and how often.

    Attributes:
      every: steps between samples; 0: no validation. With any other number the last step is looked at too.
      loss_every: steps between losses at fixed timesteps, which are cheap; 0: with the samples.
      clips: number of clips.
      kind, path, csv, split: of other data, where not empty.
      settings: of the sampler; ``window`` is the length of the clips.
    """

    every: int
    loss_every: int
    clips: int
    kind: str
    path: str
    csv: str
    split: str
    settings: Settings

    def __post_init__(self) -> None:
        check_numbers(self, "every loss_every", group="validation.")
        check_numbers(self, "clips", 1, group="validation.")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Settings of a run, see ``configs/common.py``.

    Attributes:
      model, data, loader, optimizer, step, checkpoints, validation: groups of settings.
      steps: optimizer updates in all.
      seed: of data, weights and noise.
      ema: keep a moving average of the weights, which is validated and exported in their place.
      log_every: steps between progress lines; 0: none but those of checkpoints.
      boards: that show the run, see `vp_jax.runs.boards`.
      mesh: sizes of the axes, see `vp_jax.sharding.make_mesh`.
      distributed: see `vp_jax.runs.multihost.join`.
      compilation_cache: folder of compiled programs, or empty.
      values: all settings as JSON values.
    """

    model: ModelConfig
    data: DataConfig
    loader: LoaderConfig
    optimizer: OptimConfig
    step: StepConfig
    checkpoints: CheckpointConfig
    validation: ValidationConfig
    steps: int
    seed: int
    ema: bool
    log_every: int
    boards: str
    mesh: Mapping[str, int]
    distributed: str
    compilation_cache: str
    values: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_numbers(self, "steps", 1)
        check_numbers(self, "log_every")
        board_names(self.boards)

    @classmethod
    def read(cls, config: ConfigDict, workdir: Path) -> RunConfig:
        """Check settings.

        Args:
          config: the settings, as a file of ``configs/`` makes them.
          workdir: folder of the run, which gets the journal of the data.

        Raises:
          UserError: a setting that is out of range, named with the range.
        """
        augment = MaskAugment(**config.augment)
        journal = workdir / "data.jsonl"
        held = config.validation
        settings = Settings(steps=held.steps, guidance=held.guidance, window=held.frames, seed=config.seed)
        return cls(
            model=ModelConfig(**config.model),
            data=DataConfig(**config.data),
            loader=LoaderConfig(**config.loader, seed=config.seed, augment=augment, on_device=True, journal=journal),
            optimizer=OptimConfig(**config.optimizer),
            step=StepConfig(**config.step),
            checkpoints=CheckpointConfig(**config.checkpoints),
            validation=ValidationConfig(
                held.every, held.loss_every, held.clips, held.kind, held.path, held.csv, held.split, settings
            ),
            steps=config.steps,
            seed=config.seed,
            ema=config.ema,
            log_every=config.log_every,
            boards=config.boards,
            mesh=config.mesh,
            distributed=config.distributed,
            compilation_cache=config.compilation_cache,
            values=json.loads(config.to_json()),
        )

    def held_out(self) -> tuple[DataConfig, LoaderConfig]:
        """Data and loader of validation: drawn with another seed, from other data where they are named."""
        held = self.validation
        named = {name: getattr(held, name) for name in ("kind", "path", "csv", "split") if getattr(held, name)}
        if named.get("kind", self.data.kind) == "synthetic":
            named["synthetic_first"] = HELD_OUT
        loader = dataclasses.replace(
            self.loader,
            batch_size=held.clips,
            frames=held.settings.window,
            workers=0,
            seed=self.seed + 1,
            image_dropout=0.0,
            first_frame_dropout=0.0,
        )
        return dataclasses.replace(self.data, **named), loader


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Settings whose values differ, ``name old -> new``, in the order of their names."""
    old, new = trees.flatten(before), trees.flatten(now)
    return [
        f"{name.replace('/', '.')} {old.get(name)} -> {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
