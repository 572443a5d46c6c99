"""Steps of a stage with a model, one record at a time."""

import pytest

from tests.curate.asking_stages import ASKED, Tagging
from vp_jax.curate.asking import one_by_one
from vp_jax.curate.record import ClipRecord, Dropped, StagePlace


@pytest.fixture
def place(tmp_path):
    ASKED.clear()
    return StagePlace(tmp_path, tmp_path, "here")


def test_a_record_alone_asks_its_questions_in_turn(place):
    (found,) = Tagging().process(ClipRecord("a", "a.mp4"), place)
    assert found.tags == ["model a", "model A"] and found.video == "here/file"
    assert ASKED == [["a"], ["A"]]


def test_what_becomes_of_a_record_alone_is_raised(place):
    with pytest.raises(Dropped, match="nothing but model DULL"):
        Tagging().process(ClipRecord("dull", "a.mp4"), place)
    with pytest.raises(ValueError, match="out of memory"):
        Tagging().process(ClipRecord("hard", "a.mp4"), place)


def test_an_error_in_the_place_of_an_answer_is_raised(place, monkeypatch):
    monkeypatch.setattr(Tagging, "answers", lambda self, model, questions: [KeyError("k")])
    with pytest.raises(KeyError):
        Tagging().process(ClipRecord("a", "a.mp4"), place)


def test_a_question_that_fails_leaves_the_others_their_answers():
    first, second, third = one_by_one(lambda value: 6 // value, [1, 0, 2])
    assert (first, third) == (6, 3) and isinstance(second, ZeroDivisionError)
