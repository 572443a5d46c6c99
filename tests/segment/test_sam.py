import types

import numpy as np
import pytest

from tests.segment.tiny_sam import write_grounding_dino, write_sam2
from vp_jax.errors import UserError
from vp_jax.segment.prompts import Box, FirstMask, Point, Scribble, Words
from vp_jax.segment.sam import Grounded, forget, labelled, named_by_words, session_inputs
from vp_jax.segment.tracking import track

FRAMES = [np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8) for number in range(4)]


@pytest.fixture(scope="module")
def sam2(tmp_path_factory):
    return str(write_sam2(tmp_path_factory.mktemp("sam2")))


@pytest.fixture
def one_thread():
    """Tiny networks on one thread: more of them wait for one another."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_sam2_tracks_boxes_points_and_masks_through_its_real_processing(sam2):
    mask_HW = np.zeros((40, 60), bool)
    mask_HW[10:30, 10:40] = True
    prompts = [Box(4, 4, 20, 20, frame=1), Point(30, 30, frame=3), FirstMask(mask_HW, thing=2)]
    found = list(track(lambda: iter(FRAMES), prompts, "sam2_video", weights=sam2))
    assert [one.frame for one in found] == [0, 1, 2, 3]
    assert all(one.labels_HW.shape == (40, 60) and one.labels_HW.dtype == np.uint8 for one in found)
    assert all(set(one.confidence) == {1, 2} for one in found)
    assert (found[0].labels_HW[mask_HW] > 0).all(), "a given mask is kept"
    with pytest.raises(UserError, match="sam2_video does not understand words"):
        list(track(lambda: iter(FRAMES), [Words("a fox")], "sam2_video", weights=sam2))


@pytest.mark.slow
def test_edgetam_tracks_what_sam2_takes(tmp_path, one_thread):
    from tests.segment.tiny_edgetam import write_edgetam

    weights = str(write_edgetam(tmp_path))
    mask_HW = np.zeros((40, 60), bool)
    mask_HW[10:30, 10:40] = True
    prompts = [Box(4, 4, 20, 20, frame=1), Point(30, 30, frame=2), FirstMask(mask_HW, thing=2)]
    found = list(track(lambda: iter(FRAMES[:3]), prompts, "edgetam_video", weights=weights))
    assert [one.frame for one in found] == [0, 1, 2] and all(set(one.confidence) == {1, 2} for one in found)
    assert (found[0].labels_HW[mask_HW] > 0).mean() > 0.9 and not found[0].lost
    with pytest.raises(UserError, match="edgetam_video does not understand words"):
        list(track(lambda: iter(FRAMES), [Words("a fox")], "edgetam_video", weights=weights))


@pytest.mark.slow
def test_sam3_tracks_every_phrase_as_its_thing(tmp_path, one_thread):
    from tests.segment.tiny_sam3 import write_sam3

    weights = str(write_sam3(tmp_path))
    words = [Words("a red fox", thing=3), Words("a dog")]
    found = list(track(lambda: iter(FRAMES[:3]), words, "sam3_video", weights=weights))
    assert [one.frame for one in found] == [0, 1, 2]
    assert all(set(one.confidence) == {1, 3} and set(np.unique(one.labels_HW)) <= {0, 1, 3} for one in found)
    assert any(one.labels_HW.any() for one in found)
    with pytest.raises(UserError, match="sam3_video takes words"):
        list(track(lambda: iter(FRAMES), [Box(1, 1, 4, 4)], "sam3_video", weights=weights))


@pytest.mark.slow
def test_words_become_a_box_of_grounding_dino_that_sam2_tracks(tmp_path, sam2):
    weights = str(write_grounding_dino(tmp_path))
    found = list(track(lambda: iter(FRAMES), [Words("the red car", thing=3)], Grounded(weights, sam2, threshold=0.0)))
    assert len(found) == 4 and all(set(one.confidence) == {3} for one in found)
    with pytest.raises(UserError, match="not found in the first frame"):
        list(track(lambda: iter(FRAMES), [Words("the red car")], Grounded(weights, sam2, threshold=1.0)))


def test_weights_that_are_missing_are_named(tmp_path):
    with pytest.raises(UserError, match="no weights given"):
        list(track(lambda: iter(FRAMES), [Box(1, 1, 4, 4)], "sam2_video"))
    with pytest.raises(UserError, match="cannot be read as Sam2VideoModel"):
        list(track(lambda: iter(FRAMES), [Box(1, 1, 4, 4)], "sam2_video", weights=str(tmp_path)))


def test_prompts_become_inputs_of_a_session():
    found = session_inputs([Box(1, 2, 3, 4), Point(5, 6), Point(7, 8, inside=False), Scribble(np.array([[1, 1]]))])
    assert found["input_boxes"] == [[[1, 2, 4, 6]]]
    assert found["input_points"] == [[[[5, 6], [7, 8], [1, 1]]]] and found["input_labels"] == [[[1, 0, 1]]]
    assert set(session_inputs([Point(5, 6), FirstMask(np.ones((2, 2), bool))])) == {"input_masks"}


def test_the_surest_thing_has_the_pixel():
    logits = np.array([[[1.0, -1, 2]], [[2.0, 3, -1]]])
    assert labelled(logits, [4, 7], frozenset()).tolist() == [[7, 7, 4]]
    assert labelled(logits, [4, 7], frozenset({7})).tolist() == [[4, 0, 4]]


def test_all_instances_of_a_phrase_are_one_thing():
    torch = pytest.importorskip("torch")
    masks = torch.zeros(2, 2, 3, dtype=torch.bool)
    masks[0, 0], masks[1, 1, 2] = True, True
    found = {"object_ids": [5, 9], "scores": [0.4, 0.8], "masks": masks, "prompt_to_obj_ids": {"a cat": [5, 9]}}
    one = named_by_words(3, found, {"a cat": [2], "a dog": [1]}, (2, 3))
    assert one.labels_HW.tolist() == [[2, 2, 2], [0, 0, 2]]
    assert one.confidence == {2: 0.8, 1: 0.0} and one.lost == {1}


def test_old_frames_of_a_session_are_let_go():
    old = dict.fromkeys(range(10))
    session = types.SimpleNamespace(
        processed_frames=dict(old), output_dict_per_obj={0: {"non_cond_frame_outputs": dict(old)}}
    )
    forget(session, 7, {2})
    assert list(session.processed_frames) == [2, 7, 8, 9]
    assert list(session.output_dict_per_obj[0]["non_cond_frame_outputs"]) == [2, 7, 8, 9]
