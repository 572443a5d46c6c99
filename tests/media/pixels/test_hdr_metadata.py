"""HDR metadata is read as it was written; other files have none."""

from tests import clip_files
from tests.source_formats import ROWS, write_source
from vp_jax.media.pixels.hdr_metadata import content_light_of, mastering_of, peak_of
from vp_jax.media.source import first_frame, read_source


def test_hdr_metadata_is_read(tmp_path):
    source = read_source(write_source(next(row for row in ROWS if row.codec == "libx265"), tmp_path))
    assert source.mastering.primaries == ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
    assert source.mastering.luminance == (0.0001, 1000.0) and source.mastering.white == (0.3127, 0.329)
    assert source.content_light == (1000, 400) and source.peak == 1000


def test_a_frame_without_it_has_none(tmp_path):
    frame = first_frame(clip_files.encode(tmp_path / "in.mp4", clip_files.moving(2))).frame
    assert mastering_of(frame) is None and peak_of(frame) is None and content_light_of(frame) is None


def test_side_data_of_a_kind_that_pyav_does_not_know_is_no_obstacle(tmp_path):
    path = write_source(next(row for row in ROWS if row.codec == "tiff"), tmp_path)
    assert mastering_of(first_frame(path / "00000.tiff").frame) is None
