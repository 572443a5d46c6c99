"""Grounding DINO through transformers, with tiny random weights and its real pre- and post-processing."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.segment.detection import Detector

FRAMES = [np.random.default_rng(number).integers(0, 255, (40, 60, 3), np.uint8) for number in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.segment.tiny_sam import write_grounding_dino

    return str(write_grounding_dino(tmp_path_factory.mktemp("dino")))


@pytest.mark.slow
def test_boxes_of_several_frames_are_those_of_each_alone(folder):
    detector = Detector(folder, threshold=0.0)
    together = detector.boxes(FRAMES, ["the red car", "Car."])
    for frame_HWC, found in zip(FRAMES, together, strict=True):
        (alone,) = detector.boxes([frame_HWC], ["the red car", "Car."])
        np.testing.assert_allclose([box[:5] for box in found], [box[:5] for box in alone], atol=1e-3)


@pytest.mark.slow
def test_frames_with_words_of_their_own_have_the_boxes_of_each_alone(folder):
    detector = Detector(folder, threshold=0.0)
    words = [["the red car", "Car."], ["car"], ["the red car"]]
    for frame_HWC, own, found in zip(FRAMES, words, detector.boxes_of(FRAMES, words), strict=True):
        (alone,) = detector.boxes([frame_HWC], own)
        np.testing.assert_allclose([box[:5] for box in found], [box[:5] for box in alone], atol=1e-3)
        assert [box.words for box in found] == [box.words for box in alone]


@pytest.mark.slow
def test_boxes_lie_in_the_frame_and_the_surest_comes_first(folder):
    (found,) = Detector(folder, threshold=0.0).boxes(FRAMES[:1], ["the red car"])
    assert found and [box.score for box in found] == sorted((box.score for box in found), reverse=True)
    for box in found:
        assert box.x >= 0 and box.y >= 0 and box.x + box.width <= 60 and box.y + box.height <= 40
        assert min(box.width, box.height) >= 1
    assert Detector(folder, threshold=1.0).boxes(FRAMES[:1], ["the red car"]) == [[]]


def test_weights_that_are_missing_are_named():
    with pytest.raises(UserError, match="backend grounding_dino: no weights given"):
        Detector(None)
