"""From a clip to a training example: NumPy transforms on dicts, one frozen dataclass each.

A transform is called with ``(example, rng)``, reads and writes the keys that it names, and returns a new dict. The
order of the recipe is: window, read, augment the masks (at native size), resize, first frame, caption, image noise.
Frames are uint8 [0, 255] and masks uint8 {0, 1} until `to_model_range` makes both float.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from vp_jax.data.augment import MaskAugment
from vp_jax.data.records import BadRecord, Clip
from vp_jax.models.latent_grid import cover_cells, masks_to_latent_grid

Example = dict[str, Any]
"""A training example, or a batch of them, by key."""

ClipTransform = Callable[[Example, np.random.Generator], Example]
"""``(example, rng) -> example``."""


@dataclass(frozen=True)
class ChooseWindow:
    """Choose ``frames`` consecutive source frames at about ``fps`` frames per second, from the headers of ``clip``.

    Every k-th frame is used, k = max(1, floor(source fps / fps)), without resampling in time: 25 and 30 frames per
    second both give k = 3. A window of ``frames`` of them starts at a random frame. Shorter clips are bad records.
    """

    frames: int = 49
    fps: float = 8
    in_key: str = "clip"
    out_key: str = "indices"

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add ``indices`` and ``fps`` of the window."""
        clip: Clip = example[self.in_key]
        info = clip.open()
        stride = max(1, int(info.fps // self.fps))
        kept = len(range(0, info.frames, stride))
        if kept < self.frames:
            raise BadRecord(f"{info.frames} frames at {info.fps:g} fps leave {kept} of the {self.frames} needed")
        start = int(rng.integers(0, kept - self.frames + 1))
        out = {**example, self.out_key: stride * (start + np.arange(self.frames)), "fps": info.fps / stride}
        if info.fps < self.fps:
            out["note"] = f"{info.fps:g} fps is below {self.fps:g}: every frame is used"
        return out


@dataclass(frozen=True)
class Read:
    """Read frames FHWC and masks FHW of ``indices`` at native size, with caption, id and origin of the ``clip``."""

    pixels_key: str = "pixels"
    masks_key: str = "masks"

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add frames, masks, caption, id and origin."""
        clip: Clip = example["clip"]
        frames_FHWC, masks_FHW = clip.read(example["indices"])
        if masks_FHW.shape != frames_FHWC.shape[:3]:
            raise BadRecord(f"masks are {masks_FHW.shape}, frames {frames_FHWC.shape[:3]}")
        out = {self.pixels_key: frames_FHWC, self.masks_key: masks_FHW}
        return {**example, **out, "caption": clip.caption, "id": clip.id, "origin": clip.origin}


@dataclass(frozen=True)
class AugmentMasks:
    """Augment the masks of a clip, see `MaskAugment`."""

    augment: MaskAugment
    masks_key: str = "masks"

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Replace the masks by augmented ones."""
        return {**example, self.masks_key: self.augment(example[self.masks_key], rng)}


RESIZE = ("stretch", "center")
"""Modes of `Resize`."""


@dataclass(frozen=True)
class Resize:
    """Resize frames and masks to ``height`` x ``width``; masks are resized as grey pictures and cut at one half.

    ``stretch`` (the recipe) is bilinear with antialiasing and changes the aspect ratio. ``center`` is bicubic, covers
    the frame, and crops the middle.
    """

    height: int = 480
    width: int = 720
    mode: str = "stretch"
    pixels_key: str = "pixels"
    masks_key: str = "masks"

    def __post_init__(self) -> None:
        if self.mode not in RESIZE:
            raise ValueError(f"resize mode {self.mode!r}, expected {' or '.join(RESIZE)}")

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Resize frames and masks."""
        frames_FHWC, masks_FHW = self.frames(example[self.pixels_key]), self.masks(example[self.masks_key])
        return {**example, self.pixels_key: frames_FHWC, self.masks_key: masks_FHW}

    def frames(self, frames_FHWC: np.ndarray) -> np.ndarray:
        """Resize frames FHWC uint8; those that have the size are returned as they are."""
        if frames_FHWC.shape[1:3] == (self.height, self.width):
            return frames_FHWC
        resized_FHWC = np.empty((len(frames_FHWC), self.height, self.width, 3), np.uint8)
        for image_HWC, out_HWC in zip(frames_FHWC, resized_FHWC):
            out_HWC[:] = np.asarray(self._resize(Image.fromarray(image_HWC)))
        return resized_FHWC

    def masks(self, masks_FHW: np.ndarray) -> np.ndarray:
        """Resize masks FHW uint8 {0, 1}; those that have the size are returned as they are."""
        if masks_FHW.shape[1:] == (self.height, self.width):
            return masks_FHW
        resized_FHW = np.empty((len(masks_FHW), self.height, self.width), np.uint8)
        still = masks_FHW.strides[0] == 0  # one mask, broadcast over the frames, is resized once
        for mask_HW, out_HW in zip(masks_FHW[:1] if still else masks_FHW, resized_FHW):
            resized_HW = np.asarray(self._resize(Image.fromarray(mask_HW * np.uint8(255))))
            np.greater(resized_HW, 127, out=out_HW.view(bool))
        if still:
            resized_FHW[1:] = resized_FHW[0]
        return resized_FHW

    def _resize(self, image: Image.Image) -> Image.Image:
        size = (self.width, self.height)
        if self.mode == "stretch":
            return image.resize(size, Image.Resampling.BILINEAR)
        scale = max(self.width / image.width, self.height / image.height)
        cover = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = (cover.width - self.width) // 2, (cover.height - self.height) // 2
        return cover.crop((left, top, left + self.width, top + self.height))


@dataclass(frozen=True)
class ShowFirstFrame:
    """Remove the hole of the first frame, so that the model sees the complete first frame.

    Attributes:
      dropout: probability that the hole stays; the image condition then shows it too.
    """

    dropout: float = 0.0
    masks_key: str = "masks"

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Clear the mask of frame 0, or keep it."""
        if self.dropout and rng.random() < self.dropout:
            return example
        masks_FHW = example[self.masks_key].copy()
        masks_FHW[0] = 0
        return {**example, self.masks_key: masks_FHW}


@dataclass(frozen=True)
class CoverCells:
    """Add the latent mask ``mask`` of every cell that a hole touches, as the sampler does (`latent_grid.cover_cells`).

    The holes themselves stay as they are: the context encoder sees all that is known.
    """

    masks_key: str = "masks"

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add the latent mask (T, h, w), float32."""
        mask_Thw = masks_to_latent_grid(cover_cells(example[self.masks_key]))
        return {**example, "mask": mask_Thw.astype(np.float32)}


@dataclass(frozen=True)
class DropCaption:
    """Replace the caption by "" with a probability. The random number is always drawn, also for probability 0."""

    probability: float = 0.0
    key: str = "caption"

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Replace the caption, or keep it."""
        return {**example, self.key: "" if rng.random() < self.probability else example[self.key]}


@dataclass(frozen=True)
class Tokenize:
    """Token ids (M,) int32 of the caption, by any callable from a string.

    Attributes:
      tokenizer: token ids of a caption.
      unused: what is missing from them, in words, "" if nothing; ``None``: not known. It is added to the example's
        ``note``, and ``unread`` says that there is something.
    """

    tokenizer: Callable[[str], np.ndarray]
    unused: Callable[[str], str] | None = None
    in_key: str = "caption"
    out_key: str = "input_ids"

    @classmethod
    def by(cls, tokenizer: Callable[[str], np.ndarray]) -> Tokenize:
        """With what the tokenizer itself reports, if it has a method ``unused``."""
        return cls(tokenizer, getattr(tokenizer, "unused", None))

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add the token ids."""
        caption = example[self.in_key]
        out = {**example, self.out_key: np.asarray(self.tokenizer(caption), np.int32)}
        if self.unused is not None:
            words = self.unused(caption)
            out["unread"] = np.bool_(words)
            if words:
                notes = (example.get("note"), f"its caption is not read completely: {words}")
                out["note"] = "; ".join(filter(None, notes))
        return out


@dataclass(frozen=True)
class ImageNoise:
    """Draw the noise level ``exp(N(mean, std^2))`` of the image condition, and whether the image is dropped.

    The noise itself is drawn on the device from the key of the step.
    """

    log_mean: float = -3.0
    log_std: float = 0.5
    dropout: float = 0.05

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Add ``image_sigma`` and ``image_keep``."""
        sigma = np.float32(np.exp(rng.normal(self.log_mean, self.log_std)))
        return {**example, "image_sigma": sigma, "image_keep": np.float32(rng.random() >= self.dropout)}


@dataclass(frozen=True)
class SelectKeys:
    """Keep only these keys for the batch."""

    keys: tuple[str, ...]

    def __call__(self, example: Example, rng: np.random.Generator) -> Example:
        """Remove all other keys."""
        return {key: example[key] for key in self.keys if key in example}


def to_model_range(batch: Example) -> Example:
    """Convert uint8 ``pixels`` and ``masks`` to the value ranges of the models.

    Gives float32 ``pixels_BFHWC`` and ``masked_BFHWC`` in [-1, 1] (``x / 127.5 - 1``, holes are black, -1) and
    ``masks_BFHW`` in {0, 1}. Other keys pass through. Works frame by frame, which stays in the processor's cache: much
    faster than complete arrays. `vp_jax.training.encode` does the same on the devices, which saves six sevenths of the
    bytes that the host sends.
    """
    rest = {key: value for key, value in batch.items() if key not in ("pixels", "masks")}
    pixels_BFHWC, masks_BFHW = batch["pixels"], batch["masks"]
    floats, masked = (np.empty(pixels_BFHWC.shape, np.float32) for _ in range(2))
    for clip, masks_FHW, floats_FHWC, masked_FHWC in zip(pixels_BFHWC, masks_BFHW, floats, masked):
        for image_HWC, mask_HW, float_HWC, hole_HWC in zip(clip, masks_FHW, floats_FHWC, masked_FHWC):
            np.divide(image_HWC, np.float32(127.5), out=float_HWC, dtype=np.float32)
            float_HWC -= 1
            hole_HWC[:] = float_HWC
            hole_HWC[mask_HW == 1] = -1
    return {**rest, "pixels_BFHWC": floats, "masked_BFHWC": masked, "masks_BFHW": masks_BFHW.astype("float32")}
