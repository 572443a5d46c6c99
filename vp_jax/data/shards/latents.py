"""Reading latent shards: training examples that VAE and T5 have encoded in advance (`latents_tfds` writes them).

Each use of a record (`latent_records`) picks a mask and samples new latents, ``scale * (mean + std * noise)``.

Clean-only shards (k = 0) have no masks: `make_latent_loader` then reads the clip as well, draws new masks, and returns
the masked video in pixels, which the training step encodes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from vp_jax.data.clips import (
    AugmentMasks,
    ClipTransform,
    CoverCells,
    Example,
    Resize,
    SelectKeys,
    ShowFirstFrame,
    Tokenize,
    to_model_range,
)
from vp_jax.data.pipeline import ATTEMPTS, Loader, LoaderConfig, compose
from vp_jax.data.records import BadRecord, Source
from vp_jax.data.shards.latent_records import IMAGE_OF, LatentClip, LatentRecords
from vp_jax.errors import UserError
from vp_jax.shapes import latent_grid

LATENT_KEYS = (
    "latents",
    "masked_latents",
    "mask",
    "text",
    "input_ids",
    "image_latents",
    "pixels",
    "masks",
    "caption",
    "id",
    "note",
    "unread",
)
"""Keys of an example that go into a batch."""


@dataclass(frozen=True)
class SampleLatents:
    """Sample ``latents``, ``image_latents``, ``masked_latents`` (T, h, w, C) and ``mask``, and add ``text`` (M, E).

    Attributes:
      scale: scaling factor of the VAE.
      image_dropout: probability of zeros instead of the first frame in ``image_latents``; later frames are always zero.
      empty_caption: probability of an empty caption.
      empty_text_ME: embedding of the empty caption, which replaces the text together with the caption.
      text: whether the shards hold embeddings.
      shapes: of the arrays of every record, by name; another shape is a `BadRecord`. Empty: any.

    Raises:
      UserError: empty captions without their embedding.
    """

    scale: float
    image_dropout: float = 0.05
    empty_caption: float = 0.0
    empty_text_ME: np.ndarray | None = None
    text: bool = True
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.text and self.empty_caption and self.empty_text_ME is None:
            raise UserError("empty_caption above 0 needs the embedding of the empty caption, see load_empty_text")

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add the arrays, and caption, frame numbers and id."""
        clip: LatentClip = example["clip"]
        stored = clip.arrays()
        if odd := [name for name, shape in self.shapes.items() if name not in stored or stored[name].shape != shape]:
            raise BadRecord(f"stored {', '.join(odd)}: other shapes than in the first record")
        latents_ThwC = self._sample(stored, "clean", (), rng)
        pick, images = None, np.arange(len(stored["image_mean"]))
        if IMAGE_OF in stored:
            pick = int(rng.integers(len(stored["mask"])))
            images = np.flatnonzero(stored[IMAGE_OF] == pick)
        image = self._sample(stored, "image", (int(images[rng.integers(len(images))]),), rng)
        image_latents = np.zeros_like(latents_ThwC)
        if rng.random() >= self.image_dropout:
            image_latents[:1] = image
        dropped = rng.random() < self.empty_caption
        out = {
            "latents": latents_ThwC,
            "image_latents": image_latents,
            "caption": "" if dropped else clip.caption,
            "indices": stored["indices"],
            "id": clip.id,
        }
        if self.text:
            out["text"] = self.empty_text_ME if dropped else stored["text"].astype(np.float32)
        if len(stored["mask"]):
            pick = int(rng.integers(len(stored["mask"]))) if pick is None else pick
            out["masked_latents"] = self._sample(stored, "masked", (pick,), rng)
            out["mask"] = stored["mask"][pick].astype(np.float32)
        return {**example, **out}

    def _sample(
        self, stored: dict[str, np.ndarray], name: str, at: tuple[int, ...], rng: np.random.Generator
    ) -> np.ndarray:
        mean, std = stored[f"{name}_mean"][at], stored[f"{name}_std"][at]
        noise = rng.standard_normal(mean.shape, dtype=np.float32)
        result: np.ndarray = np.float32(self.scale) * (mean.astype(np.float32) + std.astype(np.float32) * noise)
        return result


@dataclass(frozen=True)
class ReadStoredWindow:
    """Reads pixels and masks of a stored window from the source of the shards; ``numbers`` are those of its clips."""

    source: Source
    numbers: Mapping[str, int]

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add frames FHWC and masks FHW."""
        clip_id = example["clip"].clip_id
        if clip_id not in self.numbers:
            raise BadRecord(f"{clip_id} is not in the source that belongs to the shards")
        frames_FHWC, masks_FHW = self.source[self.numbers[clip_id]].read(example["indices"])
        return {**example, "pixels": frames_FHWC, "masks": masks_FHW}


def make_latent_loader(
    shards: LatentRecords,
    cfg: LoaderConfig,
    scale: float,
    process_index: int = 0,
    process_count: int = 1,
    source: Source | None = None,
    empty_text_ME: np.ndarray | None = None,
    tokenizer: Callable[[str], np.ndarray] | None = None,
    masked: bool = True,
) -> Loader:
    """Like `pipeline.make_loader`, over latent shards.

    Batches hold ``latents``, ``masked_latents`` and ``image_latents`` (B, T, h, w, C), ``mask`` (B, T, h, w), all
    float32, ``caption`` and ``id``; ``text`` (B, M, E) if the shards hold embeddings, ``input_ids`` (B, M) int32 if
    there is a tokenizer. With ``source``, for clean-only shards, ``masked_BFHWC`` float32 [-1, 1] and ``masks_BFHW``
    replace ``masked_latents`` and ``mask``. `batches.device_batch` selects what the devices need.

    Args:
      shards: records.
      cfg: settings; frames, height and width are those of the shards.
      scale: scaling factor of the VAE.
      process_index: number of this process.
      process_count: number of processes.
      source: the source of clean-only shards.
      empty_text_ME: embedding of the empty caption, for ``cfg.empty_caption`` above 0.
      tokenizer: token ids (M,) of a caption.
      masked: whether masked video is needed; without it, clean-only shards need no source.

    Raises:
      UserError: shards of another size, or a source that is missing or superfluous.
    """
    first = _first_readable(shards)
    _check_shapes(shards, first, cfg, empty_text_ME)
    text, drawn = "text" in first, bool(len(first["mask"]))
    shapes = {name: array.shape for name, array in first.items()}
    sample = SampleLatents(scale, cfg.image_dropout, cfg.empty_caption, empty_text_ME, text, shapes)
    steps: list[ClipTransform] = [sample]
    if tokenizer:
        steps.append(Tokenize.by(tokenizer))
    if source is None and masked and not drawn:
        raise UserError(f"{shards.folder} holds clean latents only: pass the source of the shards as well")
    if source is not None and drawn:
        raise UserError(f"{shards.folder} holds pre-drawn masks already: leave the source out")
    if source is not None:
        steps += [ReadStoredWindow(source, _numbers(source)), AugmentMasks(cfg.augment)]
        steps += [Resize(cfg.height, cfg.width, cfg.resize)] + ([ShowFirstFrame()] if cfg.show_first_frame else [])
        steps += [CoverCells()] if cfg.cover_cells else []
    steps.append(SelectKeys(LATENT_KEYS))
    return Loader(compose(shards, steps, cfg, process_index, process_count), cfg, mask_pixels, len(shards))


def _check_shapes(
    shards: LatentRecords, first: Mapping[str, np.ndarray], cfg: LoaderConfig, empty_text_ME: np.ndarray | None
) -> None:
    """Raises `UserError` if the arrays of the ``first`` record do not fit the settings, or the empty caption."""
    size = cfg.frames, cfg.height, cfg.width
    got, want = first["clean_mean"].shape[:3], latent_grid(*size)
    if got != want:
        raise UserError(
            f"{shards.folder} holds latents of {got} frames, rows and columns; the settings frames, height and width "
            f"{size} are {want}: change these settings, or build the shards again"
        )
    if "text" in first and empty_text_ME is not None and empty_text_ME.shape != first["text"].shape:
        raise UserError(
            f"{shards.folder}: the empty caption is embedded as {empty_text_ME.shape}, the others as "
            f"{first['text'].shape}: build the shards again"
        )


def _numbers(source: Source) -> dict[str, int]:
    """Numbers of a source's clips by their names, without those whose name cannot be read."""
    numbers: dict[str, int] = {}
    for number in range(len(source)):
        with contextlib.suppress(BadRecord):
            numbers[source[number].id] = number
    return numbers


def _first_readable(shards: LatentRecords) -> dict[str, np.ndarray]:
    """Arrays of the first record that is not damaged; those of all records have the same names and shapes."""
    reason = "it has no records"
    for index in range(min(len(shards), ATTEMPTS)):
        try:
            return shards[index].arrays()
        except BadRecord as error:
            reason = str(error)
    raise UserError(f"{shards.folder} cannot be used, {reason}: build the shards again")


def mask_pixels(batch: Example) -> Example:
    """Convert pixels and masks, if there are any, to ``masked_BFHWC`` and ``masks_BFHW``, float32."""
    if "pixels" not in batch:
        return batch
    batch = to_model_range(batch)
    del batch["pixels_BFHWC"]
    return batch
