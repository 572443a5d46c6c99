"""Captions: by a model through any endpoint, one for every masked thing; the template says what it is."""

import numpy as np
import pytest

from tests.curate.drawn_sources import scene_frames
from tests.vlm.fake_server import fake_server
from vp_jax.curate.labels_video import write_labels
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace
from vp_jax.curate.stages.caption import CaptionClips, alone
from vp_jax.curate.stages.tag import Tag
from vp_jax.curate.store import TryAgain
from vp_jax.media.video_writer import write_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    frames_FHWC, labels_FHW = scene_frames(3, 12, 48, 72)
    write_video(folder / "a.mp4", frames_FHWC, 8)
    write_labels(folder / "a.mkv", labels_FHW, 8)
    things = {str(thing): {"area": 0.1} for thing in range(1, labels_FHW.max() + 1)}
    record = ClipRecord("a", "a.mp4", frames=12, fps="8", masks="a.mkv", things=things, height=48, width=72)
    return record, StagePlace(folder, folder, "")


def test_the_template_says_that_it_is_one(clip):
    (found,) = CaptionClips().process(*clip)
    assert {*found.captions} == {"", *clip[0].things} and len(found.captions[""]) > 50
    assert all(text.startswith("Template caption") for text in found.captions.values())


def test_a_model_sees_key_frames_and_then_each_thing_alone(clip):
    replies = [{"caption": "A dense caption."}, {"caption": "A thing."}]
    with fake_server(*replies) as server:
        (found,) = CaptionClips(model=server.url, key_frames=3).process(*clip)
        requests = [request for request in server.requests if request.path.endswith("chat/completions")]
    things = {*clip[0].things}
    assert found.captions == {"": "A dense caption.", **dict.fromkeys(things, "A thing.")}
    assert [len(request.images) for request in requests] == [3] * (1 + len(things))
    assert "greyed out" in requests[1].text and found.models["caption"] == server.url


def test_tags_are_lower_case_once_each_and_required(clip):
    with fake_server({"tags": ["Cat", "cat ", "red car"]}, {"tags": []}) as server:
        (found,) = Tag(model=server.url).process(*clip)
        assert found.tags == ["cat", "red car"]
        with pytest.raises(Dropped, match="no tag"):
            Tag(model=server.url).process(*clip)


def test_a_model_without_a_usable_answer_is_asked_again_in_the_next_run(clip, monkeypatch):
    import vp_jax.curate.ask as ask

    class Mute:
        def ask(self, *_):
            return "I cannot"

    monkeypatch.setattr(ask, "_connected", lambda model: Mute())
    with pytest.raises(TryAgain, match="expected a JSON object"):
        CaptionClips(model="http://x/v1").process(*clip)


def test_alone_greys_out_everything_else():
    frame_HWC = np.full((4, 6, 3), (200, 10, 10), np.uint8)
    mask_HW = np.zeros((4, 6), bool)
    mask_HW[1, 2] = True
    shown_HWC = alone(frame_HWC, mask_HW)
    assert shown_HWC[1, 2].tolist() == [200, 10, 10] and len({*shown_HWC[0, 0].tolist()}) == 1
