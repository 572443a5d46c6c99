"""Stand-ins for the frozen encoders, a loader's settings, and the drawn data set as a source."""

from pathlib import Path

import numpy as np

from vp_jax.data.pipeline import LoaderConfig
from vp_jax.data.sources.vpdata import Layout, VPData

SCALE = 0.7
LOADER = LoaderConfig(batch_size=2, frames=9, height=32, width=48, threads=0, image_dropout=0.0)


class MeanEncoders:
    """A 'VAE' that picks one pixel per cell and frame group, with a constant deviation; a 'T5' that counts letters."""

    std = 0.25

    def video(self, pixels_BFHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean_BThwC = pixels_BFHWC[:, ::4, ::8, ::8]
        return mean_BThwC, np.full_like(mean_BThwC, self.std)

    def text(self, captions: list[str]) -> np.ndarray | None:
        return np.array([np.full((5, 4), len(caption)) for caption in captions], np.float32)


class NoText(MeanEncoders):
    def text(self, captions: list[str]) -> np.ndarray | None:
        return None


def open_source(layout: Path) -> VPData:
    return VPData.from_csv(layout / "train.csv", Layout.under(layout), frames=9)
