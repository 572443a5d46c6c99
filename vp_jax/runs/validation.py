"""Validation during training: a loss without chance, and what the model makes of a few fixed held-out clips.

    held-out clips -> loss at fixed timesteps and noise                      every validation.loss_every steps
                   -> samples -> PSNR, sharpness, sheets, videos             every validation.every steps

Samples are compared with the pixels of the clips. Latent shards hold no pixels: their samples are compared with the
decoding of the true latents, which hides what the autoencoder loses, and the metrics are named ``val_decoded_...``.
``validation.kind`` names another kind of data, which has the pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vp_jax import sharding, trees
from vp_jax.data.batches import PixelBatch
from vp_jax.data.shards.latent_records import load_empty_text
from vp_jax.media.canvas import to_uint8
from vp_jax.media.pictures import comparison_frames, contact_sheet
from vp_jax.media.video_writer import write_video
from vp_jax.runs import multihost
from vp_jax.runs.held_out import HeldOutLoss, held_out_loss
from vp_jax.runs.input_pipeline import caption_ids, on_devices, open_loader
from vp_jax.runs.plan import RunPlan, jitted_encode
from vp_jax.runs.run_config import RunConfig
from vp_jax.runs.validation_rows import Samples, as_metrics, in_words, rows, scores
from vp_jax.scalars import MetricsWriter
from vp_jax.shapes import SPATIAL_STRIDE, latent_index
from vp_jax.training.stages.stage import Sampled


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Clips of the validation.

    Attributes:
      captions: of the clips.
      pixels_BFHWC: uint8; ``None``: the data has none.
      masks_BFHW: uint8, 1 = hole, with the pixels.
      fps: of the videos.
    """

    captions: Sequence[str]
    pixels_BFHWC: np.ndarray | None = None
    masks_BFHW: np.ndarray | None = None
    fps: float = 8.0


class Validator:
    """Validates a few fixed clips and writes what it finds; the loop asks `due` after each step.

    Args:
      every: steps between samples, 1 or more.
      loss_every: steps between losses; 0: with the samples.
      sample: ``(trainable, frozen) -> Sampled``, the same examples at every call.
      loss: of the same examples; ``None``: none.
      clips: the examples.
      folder: of the run.
      writer: of metrics; ``None`` on hosts that write nothing, which compute all the same.
    """

    def __init__(
        self,
        every: int,
        sample: Callable[[trees.Tree, trees.Tree], Sampled],
        clips: HeldOut,
        folder: Path,
        writer: MetricsWriter | None,
        *,
        loss: HeldOutLoss | None = None,
        loss_every: int = 0,
    ) -> None:
        self._every, self._sample, self._clips = every, sample, clips
        self._loss, self._loss_every = loss, loss_every or every
        self._folder, self._writer = folder, writer
        self._rows: dict[str, dict[str, float]] | None = None

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
          folder: of the run.
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
        placed = on_devices(loaded, plan.mesh)
        batch = encode(encoder_weights, placed, key, jnp.zeros((), jnp.int32))
        stored = load_empty_text(data.path) if data.kind == "latents" else None
        ids_M = jnp.asarray(caption_ids(models)(""))
        stored_ME = None if stored is None else jnp.asarray(stored)
        empty = stage.empty_caption(models.encoders, encoder_weights, ids_M, stored_ME)
        sampler = stage.sampler(models.encoders, run.validation.settings, models.schedule)
        # results are whole on every host
        whole = sharding.replicated(plan.mesh)
        program = jax.jit(sampler, out_shardings=whole)

        def sample(trainable: trees.Tree, frozen: trees.Tree) -> Sampled:
            sampled: Sampled = program(trainable, frozen, encoder_weights, batch, empty, key)
            return sampled

        clips = HeldOut([str(text) for text in loaded["caption"]], fps=loader_cfg.fps)
        if isinstance(placed, PixelBatch):
            pixels, masks = jax.jit(lambda *x: x, out_shardings=whole)(placed.pixels_BFHWC, placed.masks_BFHW)
            clips = dataclasses.replace(clips, pixels_BFHWC=np.asarray(pixels), masks_BFHW=np.asarray(masks))
        loss = held_out_loss(plan, batch, key)
        held = run.validation
        return cls(held.every, sample, clips, folder, writer, loss=loss, loss_every=held.loss_every)

    def due(self, step: int) -> bool:
        """It is time after ``step``."""
        return _multiple(step, self._every) or _multiple(step, self._loss_every)

    def run(self, step: int, versions: Mapping[str, trees.Tree], frozen: trees.Tree, *, last: bool = False) -> None:
        """Validate some versions of the weights; write metrics, pictures and videos, and print a line.

        Args:
          step: just done.
          versions: weights by the end of their metrics' names; the one without a name is drawn.
          frozen: the other weights.
          last: of the run: everything is looked at that is looked at in it.
        """
        metrics: dict[str, float] = {}
        line = []
        if self._loss is not None and (last or _multiple(step, self._loss_every)):
            found = {name: self._loss(weights, frozen) for name, weights in versions.items()}
            metrics |= as_metrics(found, "")
            line = ["loss " + ", ".join(f"{values['val_loss']:.4g} {name}".strip() for name, values in found.items())]
        if last or _multiple(step, self._every):
            sampled = {name: self._sample(weights, frozen) for name, weights in versions.items()}
            if self._writer is not None:
                table = self._judge(step, sampled, self._writer)
                decoded = self._clips.pixels_BFHWC is None
                metrics |= as_metrics(table, "val_decoded_" if decoded else "val_")
                line.append(in_words(table) + ("; against the autoencoder's decoding" if decoded else ""))
        if self._writer is not None:
            self._writer.write(step, metrics)
            multihost.print_once(f"validation of step {step}: {'; '.join(line)}")

    def _judge(self, step: int, sampled: Mapping[str, Sampled], writer: MetricsWriter) -> dict[str, dict[str, float]]:
        """Rows of all versions and of fillings without a model; writes pictures and videos of the first version."""
        pixels_BFHWC, captions = self._clips.pixels_BFHWC, self._clips.captions
        made = {name: to_samples(one, pixels_BFHWC) for name, one in sampled.items()}
        shown = next(iter(made.values()))
        if self._rows is None:
            decoded_BFHWC = to_uint8(np.asarray(next(iter(sampled.values())).clean_BFHWC))
            masks_BFHW = self._clips.masks_BFHW
            unseen_BFHW = shown.holes if masks_BFHW is None else shown.holes | (masks_BFHW > 0)
            # the stage of the autoencoder compares with the pixels itself: there is nothing to add
            exact = np.array_equal(decoded_BFHWC, shown.original)
            self._rows = rows(shown, unseen_BFHW, None if exact else decoded_BFHWC)
        for number, sheet in enumerate(save_pictures(shown, captions, self._folder / "pictures", step)):
            writer.picture(step, f"sample_{number}", sheet)
        for number, file in enumerate(save_videos(shown, self._folder / "videos", step, self._clips.fps)):
            writer.video(step, f"video_{number}", file)
        return {**{name: scores(samples) for name, samples in made.items()}, **self._rows}


def _multiple(step: int, every: int) -> bool:
    return step % every == 0


def to_samples(sampled: Sampled, pixels_BFHWC: np.ndarray | None = None) -> Samples:
    """Pixels of what a sampler returns; the hole is that of the latent grid, none without a mask.

    Args:
      sampled: clips of a sampler.
      pixels_BFHWC: the original, uint8; ``None``: what the autoencoder makes of it.
    """
    made = to_uint8(np.asarray(sampled.result_BFHWC))
    original = to_uint8(np.asarray(sampled.clean_BFHWC)) if pixels_BFHWC is None else pixels_BFHWC
    if sampled.mask_BThw is None:
        return Samples(original, np.zeros(original.shape[:-1], bool), made)
    mask_BFhw = np.asarray(sampled.mask_BThw)[:, latent_index(original.shape[1])]
    holes = mask_BFhw.repeat(SPATIAL_STRIDE, axis=2).repeat(SPATIAL_STRIDE, axis=3) > 0
    return Samples(original, holes, made)


def save_pictures(samples: Samples, captions: Sequence[str], folder: Path, step: int) -> list[np.ndarray]:
    """One contact sheet per example, ``folder/00001000_0.png``; returns them as uint8 HWC."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = []
    for number, (parts, caption) in enumerate(zip(zip(*samples), captions)):
        sheet = contact_sheet(*parts, title=f"step {step}: {caption}")
        sheet.save(folder / f"{step:08d}_{number}.png")
        sheets.append(np.asarray(sheet))
    return sheets


def save_videos(samples: Samples, folder: Path, step: int, fps: float) -> list[Path]:
    """One comparison video per example, ``folder/00001000_0.mp4``."""
    files = [folder / f"{step:08d}_{number}.mp4" for number in range(len(samples.original))]
    for file, parts in zip(files, zip(*samples)):
        write_video(file, comparison_frames(*parts), fps)
    return files
