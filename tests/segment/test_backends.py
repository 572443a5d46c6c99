import builtins
import sys

import pytest

from vp_jax.errors import UserError
from vp_jax.segment.backends import TRACKERS, make_backend, named_backend
from vp_jax.segment.grabcut import GrabCut


def test_the_default_needs_nothing():
    assert isinstance(make_backend("grabcut"), GrabCut)


def test_an_unknown_backend_or_option_is_refused():
    with pytest.raises(UserError, match="expected one of grabcut, sam2_video"):
        make_backend("sam9")
    with pytest.raises(UserError, match="weights: backend grabcut does not take it"):
        make_backend("grabcut", weights="x")


@pytest.mark.parametrize("name", [name for name in TRACKERS if name != "grabcut"])
def test_without_transformers_one_line_names_the_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=rf"backend {name}: .*pip install 'vp_jax\[segment\]'") as caught:
        make_backend(name, weights="x")
    assert "\n" not in str(caught.value)


def test_a_text_names_a_backend_with_its_weights():
    assert named_backend("grabcut") == ("grabcut", {})
    assert named_backend("sam3_video:facebook/sam3") == ("sam3_video", {"weights": "facebook/sam3"})
    assert named_backend("grounding_dino:a b,c") == ("grounding_dino", {"weights": "a b", "sam2": "c"})


@pytest.mark.parametrize(
    "text, line",
    [
        ("sam9:x", "expected one of grabcut, sam2_video"),
        ("sam3_video", "expected sam3_video:FOLDER_OR_ID$"),
        ("grabcut:x", "expected grabcut$"),
        ("grounding_dino:x", "expected grounding_dino:FOLDER_OR_ID,FOLDER_OR_ID"),
        ("grounding_dino:x,", "of its weights, then of SAM 2"),
    ],
)
def test_weights_that_are_missing_or_not_taken_are_one_line(text, line):
    with pytest.raises(UserError, match=line):
        named_backend(text)


def test_nothing_of_torch_is_imported_for_the_default(monkeypatch):
    real = builtins.__import__

    def guarded(name, *rest, **named):
        assert name.split(".")[0] not in ("torch", "transformers", "jax"), name
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", guarded)
    make_backend("grabcut")
