"""CLIP's tokens against transformers, and how long captions are cut."""

import pytest

from tests.eval.tiny_vocabulary import write_vocabulary
from tests.torchvision_ops import transformers
from vp_jax.errors import UserError
from vp_jax.eval.bpe import END, START, ClipTokenizer, pieces


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_vocabulary(folder)
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "the red cat",
        "A cat's house, it's 42!",
        "  sitting\n\ton the   HOUSE... ",
        "café über 日本 ½ _snake_ -- ok?",
        "",
    ],
)
def test_tokens_are_those_of_transformers(folder, text):
    theirs = transformers.CLIPTokenizer.from_pretrained(folder)
    assert ClipTokenizer(folder).tokens(text) == theirs(text, add_special_tokens=False)["input_ids"]


def test_pieces_are_words_digits_contractions_and_signs():
    assert pieces("it's 42! ½x _a_ '!") == ["it", "'s", "4", "2", "!", "½", "x", "_", "a", "_", "'!"]


def test_a_long_caption_keeps_its_end_token(folder):
    tokenizer = ClipTokenizer(folder)
    encoded = tokenizer.encode(["the red cat", "cat " * 30], context=10)
    start, end = (tokenizer._ids[token] for token in (START, END))
    assert (encoded.ids_BM[:, 0] == start).all() and encoded.ends_B.tolist() == [4, 9]
    assert encoded.ids_BM[1, 9] == end and encoded.cut_B.tolist() == [0, 22]


def test_a_sliced_caption_loses_its_end_token(folder):
    tokenizer = ClipTokenizer(folder)
    assert tokenizer.encode_sliced("the red cat", 10)[1] == 4
    ids, place = tokenizer.encode_sliced("cat " * 30, 10)
    assert ids.shape == (1, 10) and place == 0 and tokenizer._ids[END] not in ids


def test_what_is_no_vocabulary_is_refused(tmp_path):
    (tmp_path / "vocab.json").write_text('{"a": 1}')
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(UserError, match="expected the vocabulary of a CLIP model"):
        ClipTokenizer(tmp_path)
