import numpy as np
import pytest

from tests.segment.shapes_film import BLUE, RED, film
from vp_jax.errors import UserError
from vp_jax.segment.colour_words import box_of_words, colour_in

FRAME = film((RED, 30, 30, 0, 0), (BLUE, 66, 20, 0, 0), frames=1)[0][0]


def test_one_colour_is_found_in_a_phrase():
    assert colour_in("The red car") == "red" and colour_in("a dog") is None
    assert colour_in("red and blue") is None and colour_in("a hundred reddish") is None


def test_the_box_is_a_little_larger_than_the_patch():
    assert box_of_words("the red disc", FRAME, 4, 2).frame == 4
    box = box_of_words("the red disc", FRAME)
    assert 17 <= box.x <= 21 and 17 <= box.y <= 21 and 19 <= box.width <= 26


@pytest.mark.parametrize("words, message", [("a dog", "one colour"), ("a pink dog", "nothing pink is seen in frame 0")])
def test_what_is_not_understood_or_not_there_says_what_to_give(words, message):
    with pytest.raises(UserError, match=message) as caught:
        box_of_words(words, FRAME)
    assert "box:x,y,w,h" in str(caught.value)


def test_black_and_white_are_colours():
    frame = np.full((40, 40, 3), 120, np.uint8)
    frame[10:20, 10:20], frame[25:35, 25:35] = 5, 250
    assert box_of_words("the black cat", frame).x < 12 < 20 < box_of_words("a white cat", frame).x
