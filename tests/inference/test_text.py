"""What the text encoder of the packaged model does not read is said, without loading it."""

import pytest

from vp_jax.inference.named import NAMED
from vp_jax.inference.text import unread
from vp_jax.models.folder import CheckpointFolder

NANO = CheckpointFolder(NAMED["nano"].folder)


def test_words_beyond_the_end_and_outside_the_vocabulary_are_named():
    assert unread(["a red circle moves right over green stripes", ""], NANO) == []
    (line,) = unread(["a red circle " * 20], NANO)
    assert line.startswith("'a red circle a red circle") and "is not read completely:" in line
    assert "of 61 tokens do not fit" in line
    (line,) = unread(["a red \u4e2d circle"], NANO)
    assert "not in the vocabulary: '\u4e2d'" in line


def test_a_checkpoint_without_text_encoder_has_nothing_to_say(tmp_path):
    assert unread(["a fox"], CheckpointFolder(tmp_path)) == []


@pytest.mark.slow
def test_the_library_warns(monkeypatch):
    from vp_jax.inference import pipeline

    monkeypatch.setattr(pipeline, "encode_texts", lambda *_: "embeddings")
    pipe = pipeline.Pipeline.load("nano")
    with pytest.warns(UserWarning, match="is not read completely"):
        assert pipe.encode_prompts(["a red circle " * 20]) == "embeddings"
