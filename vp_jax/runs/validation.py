"""Samples during training: what the model under training makes of a few fixed examples, as pictures and a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax import sharding, trees
from vp_jax.data.shards.latents import load_empty_text
from vp_jax.eval import video_metrics
from vp_jax.media.canvas import to_uint8
from vp_jax.media.pictures import contact_sheet
from vp_jax.runs.input_pipeline import caption_ids, on_devices, open_loader
from vp_jax.runs.plan import RunPlan, jitted_encode
from vp_jax.runs.run_config import RunConfig
from vp_jax.scalars import MetricsWriter
from vp_jax.shapes import SPATIAL_STRIDE, latent_index
from vp_jax.training.stages.stage import Sampled


class Samples(NamedTuple):
    """uint8 pixels (B, F, H, W, 3) and bool holes (B, F, H, W)."""

    original: np.ndarray
    holes: np.ndarray
    result: np.ndarray


class Validator:
    """Samples a few fixed examples and writes pictures and PSNR; the loop asks `due` after each step.

    Args:
      every: steps between.
      sample: ``(trainable, frozen) -> Sampled``, the same examples at every call.
      captions: of the examples.
      folder: where pictures go.
      writer: of metrics; ``None`` on hosts that write nothing, which sample all the same.
    """

    def __init__(
        self,
        every: int,
        sample: Callable[[trees.Tree, trees.Tree], Sampled],
        captions: Sequence[str],
        folder: Path,
        writer: MetricsWriter | None,
    ) -> None:
        self._every, self._sample, self._captions = every, sample, captions
        self._folder, self._writer = folder, writer

    @classmethod
    def prepare(
        cls,
        run: RunConfig,
        plan: RunPlan,
        encoder_weights: trees.Tree,
        key: jax.Array,
        folder: Path,
        writer: MetricsWriter | None,
    ) -> Validator | None:
        """Read and encode the examples; ``None`` if a run is never validated.

        Args:
          run: settings of the run.
          plan: its models on their devices.
          encoder_weights: on the devices.
          key: of all noise.
          folder: where pictures go.
          writer: of metrics; ``None`` on hosts that write nothing.
        """
        if not run.validation.every:
            return None
        models = plan.models
        data, loader_cfg = run.held_out()
        loader = open_loader(data, loader_cfg, models, plan.mesh)
        loaded = next(loader)
        loader.close()
        stage = models.stage.whole_clips()
        encode = jitted_encode(stage, models.encoders)
        batch = encode(encoder_weights, on_devices(loaded, plan.mesh), key, jnp.zeros((), jnp.int32))
        stored = load_empty_text(data.path) if data.kind == "latents" else None
        ids_M = jnp.asarray(caption_ids(models)(""))
        stored_ME = None if stored is None else jnp.asarray(stored)
        empty = stage.empty_caption(models.encoders, encoder_weights, ids_M, stored_ME)
        sampler = stage.sampler(models.encoders, run.validation.settings, models.schedule)
        # results are whole on every host
        program = jax.jit(sampler, out_shardings=sharding.replicated(plan.mesh))

        def sample(trainable: trees.Tree, frozen: trees.Tree) -> Sampled:
            sampled: Sampled = program(trainable, frozen, encoder_weights, batch, empty, key)
            return sampled

        return cls(run.validation.every, sample, [str(text) for text in loaded["caption"]], folder, writer)

    def due(self, step: int) -> bool:
        """It is time after ``step``."""
        return step % self._every == 0

    def run(self, step: int, trainable: trees.Tree, frozen: trees.Tree) -> None:
        """Sample with these weights; write pictures and metrics."""
        samples = to_samples(self._sample(trainable, frozen))
        if self._writer is None:
            return
        for number, sheet in enumerate(save_pictures(samples, self._captions, self._folder, step)):
            self._writer.picture(step, f"sample_{number}", sheet)
        self._writer.write(step, {"val_hole_psnr": hole_psnr(samples), "val_psnr": clip_psnr(samples)})


def to_samples(sampled: Sampled) -> Samples:
    """Pixels of what a sampler returns; the hole is that of the latent grid, none without a mask."""
    original, made = to_uint8(np.asarray(sampled.clean_BFHWC)), to_uint8(np.asarray(sampled.result_BFHWC))
    if sampled.mask_BThw is None:
        return Samples(original, np.zeros(original.shape[:-1], bool), made)
    mask_BFhw = np.asarray(sampled.mask_BThw)[:, latent_index(original.shape[1])]
    holes = mask_BFhw.repeat(SPATIAL_STRIDE, axis=2).repeat(SPATIAL_STRIDE, axis=3) > 0
    return Samples(original, holes, made)


def hole_psnr(samples: Samples) -> float:
    """Mean over the examples of the PSNR in the hole, dB; NaN without holes. High is faithful, not beautiful."""
    values = [video_metrics.psnr(original, result, holes) for original, holes, result in zip(*samples) if holes.any()]
    return float(np.mean(values)) if values else float("nan")


def clip_psnr(samples: Samples) -> float:
    """Mean over the examples of the PSNR of whole clips, dB."""
    return hole_psnr(samples._replace(holes=np.ones_like(samples.holes)))


def save_pictures(samples: Samples, captions: Sequence[str], folder: Path, step: int) -> list[np.ndarray]:
    """One contact sheet per example, ``folder/00001000_0.png``; returns them as uint8 HWC."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = []
    for number, (parts, caption) in enumerate(zip(zip(*samples), captions)):
        sheet = contact_sheet(*parts, title=f"step {step}: {caption}")
        sheet.save(folder / f"{step:08d}_{number}.png")
        sheets.append(np.asarray(sheet))
    return sheets
