"""Encoders get what the track says, in their own words."""

import pytest

from vp_jax.media.encoders import track_for_arrays
from vp_jax.media.pixels.hdr_metadata import ContentLight, MasteringDisplay
from vp_jax.media.pixels.pixel_format import PixelFormat
from vp_jax.media.video_track import VideoTrack, with_options

HD = (1080, 1920)
LAYOUT = PixelFormat("yuv", 8, (2, 2))


@pytest.mark.parametrize("quality, x264, vp9", [(None, "17", "20"), (0, "0", "0"), (30, "30", "35"), (51, "51", "60")])
def test_quality_runs_in_proportion(quality, x264, vp9):
    assert track_for_arrays(".mp4", HD, quality).options["crf"] == x264
    assert track_for_arrays(".webm", HD, quality).options["crf"] == vp9


def test_four_slices_are_asked_for_where_chroma_can_be_cut():
    track = VideoTrack(".mkv", "ffv1", "yuv420p", LAYOUT)
    assert with_options(track, HD, None).options == {"level": "3", "slices": "4"}
    assert with_options(track, (47, 63), None).options == {"level": "3"}


def test_site_and_fields_are_options():
    track = with_options(VideoTrack(".mp4", "libx264", "yuv420p", LAYOUT, site="topleft", top_first=True), HD, None)
    assert track.options["chroma_sample_location"] == "topleft" and track.options["x264-params"] == "tff=1"


def test_light_is_given_in_steps_of_st_2086():
    display = MasteringDisplay(((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)), (0.3127, 0.329), (0.005, 4000.0))
    track = VideoTrack(".mp4", "libx265", "yuv420p10le", mastering=display, content_light=ContentLight(900, 80))
    assert with_options(track, HD, 3).options["x265-params"] == (
        "log-level=none:hdr10=1:repeat-headers=1:"
        "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(40000000,50):max-cll=900,80"
    )


def test_transparency_of_vp9_needs_frames_without_hidden_references():
    track = VideoTrack(".webm", "libvpx-vp9", "yuva420p", LAYOUT._replace(alpha=True))
    assert with_options(track, HD, None).options["auto-alt-ref"] == "0"
