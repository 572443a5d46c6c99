"""The dimension key: one letter per dimension for the entire project (`DIMENSIONS`), and the latent grid.

Arrays that cross a function boundary carry their shape as a suffix of single letters (``x_BSD``); the letters of an
einsum are the same letters. A digit is an axis of that size (``mask_B11M``). ``tests/test_names.py`` checks the
suffixes of parameters and assigned names.

Layouts: pixels ``BFHWC``, latents ``BThwC``, tokens ``BSD``, heads ``BSKA``. Channels are last everywhere; only
``convert/`` and the parity tests know PyTorch's channel-first layouts.

Value ranges: pixels are uint8 [0, 255] in files and in the public interface, float [-1, 1] inside the models. Masks are
1 in the hole (to be generated) and 0 in the background (to be kept).
"""

import numpy as np

DIMENSIONS: dict[str, str] = {
    "B": "batch (under classifier-free guidance: the negative half, then the positive half)",
    "F": "pixel frames of a clip",
    "T": "latent frames, (F - 1) / 4 + 1",
    "H": "pixel rows",
    "W": "pixel columns",
    "h": "latent rows, H / 8",
    "w": "latent columns, W / 8",
    "C": "channels (3 for pixels, 16 for latents)",
    "N": "video tokens, T * (h / 2) * (w / 2), ordered frame, row, column",
    "M": "text tokens (226)",
    "S": "joint sequence, text first: S = M + N",
    "P": "places for the masked tokens of a sequence, filled from the first on",
    "D": "width of the transformer, D = K * A",
    "K": "attention heads",
    "A": "head size",
    "E": "width of an embedding before the transformer: of the time (512), of the text (4096)",
    "V": "values of one token's patch",
    "L": "layers of the backbone",
    "G": "layers of the context encoder = groups of backbone layers that share a hint",
    "R": "LoRA rank",
    "I": "inputs of a matrix of any size",
    "O": "outputs of a matrix of any size",
    "J": "terms of a sum",
    "r": "rows of a part of a picture",
    "c": "columns of a part of a picture",
    "x": "any number of leading axes",
}
"""Every letter of a shape suffix and what it stands for."""

SPATIAL_STRIDE = 8
"""Pixels per latent cell along rows and columns."""

TEMPORAL_STRIDE = 4
"""Pixel frames per latent frame, after the first."""


def latent_frames(frames: int) -> int:
    """Latent frames T of a clip of ``frames`` pixel frames: ``(F - 1) // 4 + 1``."""
    return (frames - 1) // TEMPORAL_STRIDE + 1


def pixel_frames(latents: int) -> int:
    """Pixel frames F that ``latents`` latent frames decode to: ``4 (T - 1) + 1``."""
    return TEMPORAL_STRIDE * (latents - 1) + 1


def latent_grid(frames: int, height: int, width: int) -> tuple[int, int, int]:
    """Latent T, h, w of a clip of ``frames`` frames of ``height`` x ``width`` pixels."""
    return latent_frames(frames), height // SPATIAL_STRIDE, width // SPATIAL_STRIDE


def latent_index(frames: int) -> np.ndarray:
    """Latent frame of each of ``frames`` pixel frames, int (F,): the first frame alone, then groups of four."""
    return (np.arange(frames) + TEMPORAL_STRIDE - 1) // TEMPORAL_STRIDE


def nearest_index(size: int, out: int) -> np.ndarray:
    """Source index ``floor(i * size / out)`` of each of ``out`` nearest-neighbour samples of an axis of ``size``.

    It takes pixel masks to the latent grid: frames 0, 3, 7, 11, 15, 18 ... of 49, the top-left pixel of 8x8.
    """
    return np.arange(out) * size // out
