"""The dimension key: one letter per dimension, for the whole project.

Arrays that cross a function boundary carry their shape as a suffix of single letters
(``x_BSD``); the letters of an einsum are the same letters.

==== =====================================================================================
B    batch (under classifier-free guidance: the negative half, then the positive half)
F    pixel frames of a clip
T    latent frames, ``(F - 1) / 4 + 1``
H W  pixel rows, columns
h w  latent rows, columns, ``H / 8``, ``W / 8``
C    channels (3 for pixels, 16 for latents)
N    video tokens, ``T * (h / 2) * (w / 2)``, ordered frame, row, column
M    text tokens (226)
S    joint sequence, text first: ``S = M + N``
D    width of the transformer, ``D = K * A``
K    attention heads
A    head size
E    width of an embedding before the transformer: of the time (512), of the text (4096)
L    layers of the backbone
G    layers of the context encoder = groups of backbone layers that share a hint
R    LoRA rank
==== =====================================================================================

Layouts: pixels ``BFHWC``, latents ``BThwC``, tokens ``BSD``, heads ``BSKA``. Channels are last
everywhere; only ``convert/`` and the parity tests know PyTorch's channel-first layouts.

Value ranges: pixels at the door are uint8 [0, 255]; inside the models float [-1, 1]. Masks are
1 (hole, to be generated) and 0 (background, to be kept).
"""

import numpy as np

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
    """Latent T, h, w of a clip of pixels."""
    return latent_frames(frames), height // SPATIAL_STRIDE, width // SPATIAL_STRIDE


def latent_index(frames: int) -> np.ndarray:
    """Latent frame that each of ``frames`` pixel frames belongs to: 0, then four frames each."""
    return (np.arange(frames) + TEMPORAL_STRIDE - 1) // TEMPORAL_STRIDE


def nearest_index(size: int, out: int) -> np.ndarray:
    """Source index ``floor(i * size / out)`` of each of ``out`` nearest-neighbour samples of an axis of ``size``.

    It takes pixel masks to the latent grid: frames 0, 3, 7, 11, 15, 18 ... of 49, the top-left pixel of 8x8.
    """
    return np.arange(out) * size // out
