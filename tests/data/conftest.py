"""A small data set in the official layout: eight clips of 30 frames at 24 fps, 48 x 64, drawn."""

from pathlib import Path

import pytest

from tests.data.make_vpdata_layout import LayoutWriter, caption_of, draw_clip
from vp_jax.data.pipeline import LoaderConfig
from vp_jax.data.sources.vpdata import Layout, VPData
from vp_jax.media.video_writer import encode_mp4


@pytest.fixture(scope="session")
def layout(tmp_path_factory) -> Path:
    data = tmp_path_factory.mktemp("official")
    writer = LayoutWriter(data)
    for number in range(8):
        frames_FHWC, labels_FHW = draw_clip(30, 48, 64, seed=number)
        writer.add(encode_mp4(frames_FHWC, 24), labels_FHW, 24, caption_of(f"number {number}"), pexels=number % 2 == 1)
    writer.write("train.csv")
    return data


@pytest.fixture
def source(layout) -> VPData:
    return VPData.from_csv(layout / "train.csv", Layout.under(layout), frames=9)


@pytest.fixture
def small() -> LoaderConfig:
    """The recipe at 9 frames of 32 x 48."""
    return LoaderConfig(batch_size=2, frames=9, height=32, width=48, threads=0)
