"""Which encoder is chosen for which pixels, and what is said to be lost."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from vp_jax.errors import UserError
from vp_jax.media.encoders import check_quality, png_layout, track_for, yuv_colours
from vp_jax.media.pixels.colour import Colours
from vp_jax.media.pixels.hdr_metadata import ContentLight, MasteringDisplay
from vp_jax.media.pixels.pixel_format import PixelFormat, pixel_format
from vp_jax.media.source import SourceVideo

HD, ODD = (1080, 1920), (481, 853)
PQ = Colours(9, 16, 9, 1)
DISPLAY = MasteringDisplay(((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), (0.3127, 0.329), (0.0001, 1000.0))


def source(name, size=HD, **more):
    return SourceVideo(Path("in.mkv"), *size, pixel_format(name), **more)


@pytest.mark.parametrize(
    "name, suffix, size, codec, pix_fmt",
    [
        ("yuv420p", ".mp4", HD, "libx264", "yuv420p"),
        ("yuv422p", ".mov", HD, "libx264", "yuv422p"),
        ("yuv420p10le", ".mp4", HD, "libx264", "yuv420p10le"),
        ("yuv444p12le", ".mp4", HD, "libx265", "yuv444p12le"),
        ("yuv422p16le", ".mp4", HD, "libx265", "yuv422p12le"),
        ("gray10le", ".mp4", HD, "libx264", "gray10le"),
        ("gbrp", ".mp4", HD, "libx264", "yuv420p"),
        ("gbrp12le", ".mp4", HD, "libx265", "yuv444p12le"),
        ("yuv411p", ".mp4", HD, "libx264", "yuv444p"),
        ("yuv420p", ".mp4", ODD, "libvpx-vp9", "yuv420p"),
        ("yuv422p", ".mp4", (481, 854), "libx264", "yuv422p"),
        ("yuv420p10le", ".mp4", ODD, "libsvtav1", "yuv420p10le"),
        ("yuv422p10le", ".mp4", ODD, "libx264", "yuv444p10le"),
        ("yuv420p", ".mov", ODD, "libx264", "yuv444p"),
        ("yuv444p", ".webm", HD, "libvpx-vp9", "yuv444p"),
        ("yuva420p", ".webm", HD, "libvpx-vp9", "yuva420p"),
        ("yuv420p12le", ".webm", HD, "libsvtav1", "yuv420p10le"),
        ("gray", ".webm", HD, "libvpx-vp9", "yuv420p"),
        ("gbrp", ".mkv", HD, "ffv1", "bgr0"),
        ("gbrap", ".mkv", HD, "ffv1", "bgra"),
        ("yuv440p16le", ".mkv", HD, "ffv1", "yuv444p16le"),
        ("yuv420p16le", ".mkv", ODD, "ffv1", "yuv420p16le"),
    ],
)
def test_the_encoder_that_has_the_pixels_is_chosen(name, suffix, size, codec, pix_fmt):
    track = track_for(source(name, size), suffix)
    assert (track.codec, track.pix_fmt) == (codec, pix_fmt)
    changed = track.layout._replace(alpha=False) != pixel_format(name)._replace(alpha=False)
    assert bool(track.lost) == changed and all(line.startswith("format ") for line in track.lost)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_hdr_goes_into_h265_with_its_metadata(suffix):
    track = track_for(
        source("yuv420p10le", colours=PQ, mastering=DISPLAY, content_light=ContentLight(1000, 400)), suffix
    )
    assert (track.codec, track.tag, track.colours, track.lost) == ("libx265", "hvc1", PQ, ())
    assert (
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
        in track.options["x265-params"]
    )


def test_hdr_of_an_odd_size_says_what_it_loses():
    track = track_for(source("yuv420p10le", ODD, colours=PQ, mastering=DISPLAY), ".mp4")
    assert track.codec == "libsvtav1" and track.colours == PQ
    assert track.lost == ("light of the mastering display is not written: AV1 of this FFmpeg does not hold it",)
    assert track_for(source("yuv420p10le", ODD, colours=PQ, mastering=DISPLAY), ".webm").lost == ()


def test_fields_and_pixel_shape_reach_the_track():
    track = track_for(source("yuv420p", top_first=False, pixel_shape=Fraction(16, 11)), ".mp4")
    assert (track.options["x264-params"], track.pixel_shape, track.reserves_room) == ("bff=1", Fraction(16, 11), False)
    assert track_for(source("yuv420p", pixel_shape=Fraction(16, 11)), ".mkv").reserves_room
    assert not track_for(source("yuv420p", pixel_shape=Fraction(1)), ".mkv").reserves_room


def test_a_site_without_a_name_is_said():
    turned = source("yuv420p", site=(0.5, 1.0), orientation=(False, True, True))
    assert track_for(turned, ".mkv").lost == (
        "chroma of the turned source lies where no file can say: up to one pixel off in players",
    )


def test_rgb_takes_the_tags_that_players_assume():
    assert yuv_colours(Colours()) == (1, 1, 1, 1)
    assert yuv_colours(Colours(9, 16, 0, 2)) == (9, 16, 9, 1)


def test_png_has_8_or_16_bits():
    assert png_layout(pixel_format("yuv420p10le")) == PixelFormat("rgb", 16)
    assert png_layout(pixel_format("yuva444p")) == PixelFormat("rgb", 8, alpha=True)
    assert png_layout(pixel_format("gray12le")) == PixelFormat("grey", 16)


@pytest.mark.parametrize("quality, name", [(-1, "a.mp4"), (52, "a.webm"), (3, "a.mkv"), (3, "a"), (3, "a.GIF")])
def test_a_quality_that_cannot_be_is_refused(quality, name):
    with pytest.raises(UserError, match=f"quality {quality}"):
        check_quality(quality, Path(name))
    check_quality(None, Path(name))
    check_quality(51, Path("a.mov"))


def test_other_encoders_step_in(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    assert track_for(source("yuv422p10le"), ".mp4").codec == "mpeg4"
    monkeypatch.setattr(av, "codecs_available", set())
    with pytest.raises(UserError, match=r"this PyAV cannot encode \.webm, write \.mkv or a folder"):
        track_for(source("yuv420p"), ".webm")
