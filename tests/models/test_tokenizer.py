"""Token ids against the transformers library, on a small vocabulary trained here."""

import importlib
import os
import random

import numpy as np
import pytest
import sentencepiece
import transformers
from transformers.utils import sentencepiece_model_pb2_new

from vp_jax.digests import Damaged, record_files
from vp_jax.errors import UserError
from vp_jax.models.tokenizer import Tokenizer

WORDS = (
    "the a painter video in of dog runs quickly across green grass fields sunset camera pans left slowly "
    "mountain river blue sky cinematic light café naïve 東京 Привет"
).split()

TEXTS = [
    "",
    " ",
    "the dog",
    "  the   dog  ",
    "the\n\ndog\t",
    "a\r\nb",
    "THE DOG.",
    "the dog" * 40,
    "x" * 500,
    "the dog runs quickly across green fields " * 30,
    # unicode: compatibility forms, combining marks, joiners, no-break and ideographic spaces, byte order mark
    "ｆｕｌｌ width",
    "cafe\u0301 café",
    "ﬁ ½ ™",
    "a\u200bb",
    "a\u00a0b",
    "\u3000東京\u3000",
    "\ufeffthe",
    "a\u2028b",
    "a \u00ad b",
    "Привет, 東京!",
    "\x00 a",
    "😀",
    "😀 😀😀 the",
    "👨\u200d👩\u200d👧 a",
    # the marker of a space, written out
    "▁",
    "▁the",
    "the▁dog",
    "a ▁ b",
    # special tokens, written out
    "<extra_id_0>",
    "<extra_id_0> the",
    "the<extra_id_99>dog",
    "the <extra_id_3>  <extra_id_4> dog",
    "<extra_id_100>",
    "<extra_id_01>",
    "<Extra_id_1>",
    "<extra_id_1",
    "</s>",
    "a</s>b",
    "the</s>",
    "<pad> the",
    "<unk> the",
    "a<unk>b",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    draw = random.Random(0)
    lines = [" ".join(draw.choices(WORDS, k=12)) + "." for _ in range(2000)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(folder / "spiece"),
        vocab_size=150,
        hard_vocab_limit=False,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return folder


@pytest.fixture(scope="module")
def oracle(folder):
    with pytest.MonkeyPatch.context() as patch:
        # transformers' own copy of the format: the one of sentencepiece asks for one exact protobuf release
        patch.setattr(
            importlib.import_module("transformers.convert_slow_tokenizer"),
            "import_protobuf",
            lambda *_: sentencepiece_model_pb2_new,
        )
        return transformers.T5Tokenizer.from_pretrained(folder)


@pytest.mark.parametrize("length", [226, 12, 2, 1])
def test_equals_the_reference(folder, oracle, length):
    got_BM = Tokenizer(folder / "spiece.model").encode(TEXTS, length)
    want = oracle(TEXTS, padding="max_length", max_length=length, truncation=True, add_special_tokens=True).input_ids
    assert got_BM.dtype == np.int32 and got_BM.shape == (len(TEXTS), length)
    for text, ids_M, want_M in zip(TEXTS, got_BM, want):
        assert ids_M.tolist() == want_M, repr(text)


def test_end_token_then_padding(folder):
    tokenizer = Tokenizer(folder / "spiece.model")
    empty_M, long_M = tokenizer.encode(["", "the dog " * 300])
    assert empty_M.tolist() == [1] + [0] * 225
    assert long_M[-1] == 1 and 0 not in long_M and 1 not in long_M[:-1]


def test_ids_stay_below_the_vocabulary_size(folder, oracle):
    tokenizer = Tokenizer(folder / "spiece.model")
    assert tokenizer.vocab_size == len(oracle)
    assert tokenizer.encode(["<extra_id_0>"], 2).tolist() == [[tokenizer.vocab_size - 1, 1]]


def test_no_texts(folder):
    assert Tokenizer(folder / "spiece.model").encode([], 7).shape == (0, 7)


UNUSED = {
    "the dog": None,
    "": None,
    "the <unk> dog": None,  # written out: the text asks for it
    "the 😀 dog ∮∮": ("", ("😀", "∮∮")),
    "😀": ("", ("😀",)),
}


@pytest.mark.parametrize("text", UNUSED)
def test_pieces_outside_the_vocabulary_are_named(folder, text):
    unused = Tokenizer(folder / "spiece.model").unused(text)
    assert (unused and (unused.cut, unused.unknown)) == UNUSED[text]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("length", [1, 2, 5, 12, 226])
def test_what_does_not_fit_is_exactly_what_is_named(folder, text, length):
    """The ids of a text without its cut end are the ids of the text."""
    tokenizer = Tokenizer(folder / "spiece.model")
    ids = tokenizer.encode([text], 2000)[0].tolist()
    needed = ids.index(1, max(0, len(ids) - 1 - ids[::-1].index(1))) + 1
    unused = tokenizer.unused(text, length)
    fits = needed <= length
    assert fits or unused is None or unused.cut or not text.strip(" \u2581")
    if unused is not None:
        assert unused.tokens == needed and unused.length == length
        assert bool(unused.cut) <= (not fits)
        assert (2 in ids[: min(needed, length) - 1]) >= bool(unused.unknown)
        words = str(unused)
        assert words and "\n" not in words and len(words) < 600
        assert (f"{needed - length} of {needed} tokens do not fit: '" in words) == bool(unused.cut)


def test_encode_reports_what_it_leaves_out(folder):
    tokenizer, found = Tokenizer(folder / "spiece.model"), []
    texts = ["the dog", "the dog runs " * 9 + "sunset", "😀"]
    ids_BM = tokenizer.encode(texts, 12, on_unused=lambda number, unused: found.append((number, unused)))
    np.testing.assert_array_equal(ids_BM, tokenizer.encode(texts, 12))
    assert [number for number, _ in found] == [1, 2]
    assert found[0][1] == tokenizer.unused(texts[1], 12) and found[0][1].cut.endswith("sunset")
    assert found[1][1].unknown == ("😀",)
    assert str(found[1][1]) == "not in the vocabulary: '😀'"


def test_a_long_cut_is_shown_by_its_ends(folder):
    words = str(Tokenizer(folder / "spiece.model").unused("the dog runs quickly across " * 40 + "the sunset", 12))
    assert len(words) < 140 and " ... " in words and words.endswith("sunset'")


def test_texts_that_are_not_unicode(folder):
    tokenizer = Tokenizer(folder / "spiece.model")
    for action in (lambda text: tokenizer.encode([text]), tokenizer.unused):
        with pytest.raises(UserError, match="holds bytes that are not UTF-8: write it again"):
            action("the \udcff dog")


def test_a_damaged_or_odd_tokenizer_file(folder, tmp_path):
    data = (folder / "spiece.model").read_bytes()
    (tmp_path / "spiece.model").write_bytes(data)
    record_files(tmp_path)
    Tokenizer(tmp_path / "spiece.model")
    draw = random.Random(0)
    for _ in range(20):
        damaged = bytearray(data)
        damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        (tmp_path / "spiece.model").write_bytes(damaged)
        with pytest.raises(Damaged, match=r"spiece\.model is not what was written"):
            Tokenizer(tmp_path / "spiece.model")
    (tmp_path / "spiece.model").unlink()
    os.mkfifo(tmp_path / "spiece.model")
    with pytest.raises(UserError, match="is a pipe"):
        Tokenizer(tmp_path / "spiece.model")


def test_refuses_files_that_are_no_tokenizer(tmp_path):
    with pytest.raises(UserError, match=r"no tokenizer model .*spiece\.model"):
        Tokenizer(tmp_path / "spiece.model")
    with pytest.raises(UserError, match="no tokenizer model"):
        Tokenizer(tmp_path)
    for name, content in {
        "empty": b"",
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "noise": bytes(range(256)) * 20,
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="is not a sentencepiece model"):
            Tokenizer(tmp_path / name)


def test_refuses_another_vocabulary(tmp_path):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS)] * 50),
        model_prefix=str(tmp_path / "other"),
        vocab_size=100,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with pytest.raises(UserError, match=r"expected \(0, 1, 2\), the vocabulary of T5"):
        Tokenizer(tmp_path / "other.model")


def test_refuses_wrong_calls(folder):
    tokenizer = Tokenizer(folder / "spiece.model")
    with pytest.raises(UserError, match="expected a list of texts"):
        tokenizer.encode("the dog")
    with pytest.raises(UserError, match="expected at least 1"):
        tokenizer.encode(["the dog"], 0)
