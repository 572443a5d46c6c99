"""Chroma site, pixel shape and fields of a frame are read as FFmpeg knows them."""

from fractions import Fraction

import av
import pytest

from tests.drawn_planes import draw
from tests.source_formats import Row, write_source
from vp_jax.media.pixels.frame_properties import frame_properties, site_name
from vp_jax.media.source import first_frame, read_source


@pytest.mark.parametrize("site, place", [("left", (0.5, 0)), ("topleft", (0, 0)), ("center", (0.5, 0.5))])
def test_the_chroma_site_is_read(tmp_path, site, place):
    source = read_source(write_source(Row("yuv420p", site=site), tmp_path))
    assert source.site == place and site_name(source.site, (2, 2)) == site


@pytest.mark.parametrize("order, first", [(0, None), (2, True), (3, False)])
def test_the_field_order_is_read(tmp_path, order, first):
    assert read_source(write_source(Row("yuv420p", order=order), tmp_path)).top_first is first


def test_a_frame_that_states_nothing_has_the_usual_site():
    frame = draw("yuv420p", (48, 64), 0)
    found = frame_properties(frame)
    assert (found.site, found.states_site, found.interlaced) == ((0.5, 0.0), False, False)
    assert frame_properties(draw("yuvj420p", (48, 64), 0)).site == (0.5, 0.5)
    assert frame_properties(draw("gbrp", (48, 64), 0)).site == (0.0, 0.0)


def test_the_pixel_shape_of_the_codec_is_read(tmp_path):
    path = write_source(Row("yuv420p", shape=Fraction(16, 11)), tmp_path)
    assert frame_properties(first_frame(path).frame).shape == Fraction(16, 11)


def test_the_log_level_is_left_as_it_was():
    before = av.logging.get_level()
    frame_properties(draw("yuv420p", (48, 64), 0))
    assert av.logging.get_level() == before


def test_a_place_between_the_names_has_none():
    assert site_name((0.5, 1.0), (2, 2)) is None and site_name((0.0, 0.0), (1, 2)) == "left"
