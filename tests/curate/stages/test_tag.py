"""Tags: once each, in small letters, from a function, an endpoint or Florence-2; without any, the clip is dropped."""

from fractions import Fraction

import numpy as np
import pytest

from tests.vlm.fake_server import fake_server
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.curate.stages import tag
from vp_jax.curate.stages.tag import Tag
from vp_jax.media.video_writer import write_video


@pytest.fixture
def clip(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (8, 16, 24, 3), np.uint8)
    write_video(tmp_path / "a.mp4", frames, Fraction(8))
    record = ClipRecord("a", "a.mp4", frames=8, fps="8", height=16, width=24, stop=8)
    return record, StagePlace(tmp_path, tmp_path, "place")


def named(frames):
    """A function of another package."""
    return [" Fox ", "dog", "fox", "", f"{len(frames)} frames"]


def test_without_a_model_nothing_is_tagged(clip):
    assert Tag().process(*clip) == [clip[0]]


def test_words_of_a_function_are_kept_once(clip):
    (tagged,) = Tag(model=f"{__name__}:named", key_frames=3, most=3).process(*clip)
    assert tagged.tags == ["fox", "dog", "3 frames"] and tagged.models["tag"] == f"{__name__}:named"


def test_an_endpoint_sees_the_key_frames(clip):
    with fake_server({"tags": ["Fox"]}, {"tags": []}) as server:
        (tagged,) = Tag(model=server.url, key_frames=2).process(*clip)
        assert tagged.tags == ["fox"] and len(server.chats[0].images) == 2
        with pytest.raises(Dropped, match="no tag"):
            Tag(model=server.url).process(*clip)
        (kept,) = Tag(model=server.url, required=False).process(*clip)
    assert kept.tags == []


def test_florence_is_loaded_from_the_named_weights(clip, monkeypatch):
    class Fake:
        def __init__(self, weights):
            self.weights = weights

        def things_of(self, videos):
            return [[f"{self.weights} {len(frames)}"] for frames in videos]

    monkeypatch.setattr(tag, "florence_of", Fake)
    (tagged,) = Tag(model="florence2", weights="folder", key_frames=4).process(*clip)
    assert tagged.tags == ["folder 4"] and tagged.models["tag"] == "florence2 folder"
