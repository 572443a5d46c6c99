"""The captions' own tokens: T5's special ids, no unknown word, the same file from the same captions."""

import numpy as np
import pytest
import sentencepiece

from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.world import vocabulary
from vp_jax.world.looks import LOOKS, caption_words, make_scene
from vp_jax.world.scene import caption

CAPTIONS = 300


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    file = tmp_path_factory.mktemp("vocabulary") / "made" / "world.model"
    return file, vocabulary.train_vocabulary(vocabulary.world_captions(CAPTIONS), file, pieces=200)


def made_of(look, folder):
    """A vocabulary of the captions of a look."""
    file = folder / f"{look}.model"
    vocabulary.train_vocabulary(vocabulary.world_captions(CAPTIONS, look=look), file, pieces=200)
    return sentencepiece.SentencePieceProcessor(model_file=str(file))


def test_captions_are_those_of_the_seeds_in_order():
    assert list(vocabulary.world_captions(3, first=7)) == [caption(make_scene(seed)) for seed in (7, 8, 9)]


def test_special_pieces_have_the_ids_of_t5(model):
    file, count = model
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(file))
    assert (pieces.pad_id(), pieces.eos_id(), pieces.unk_id(), pieces.bos_id()) == (0, 1, 2, -1)
    assert pieces.get_piece_size() == count <= 200


@pytest.mark.parametrize("look", LOOKS)
def test_every_word_of_the_world_is_written_without_unknown_pieces(look, tmp_path):
    pieces = made_of(look, tmp_path)
    for seed in range(CAPTIONS, CAPTIONS + 50):  # captions that it has not seen
        text = caption(make_scene(seed, look))
        ids = pieces.encode(text)
        assert pieces.unk_id() not in ids and pieces.decode(ids) == text
    assert all(pieces.unk_id() not in pieces.encode(word) for word in caption_words(look))


@pytest.mark.parametrize("look", LOOKS)
def test_frequent_words_are_single_pieces(look, tmp_path):
    pieces = made_of(look, tmp_path)
    assert len(pieces.encode("and")) == len(pieces.encode("over")) == 1
    lengths = [len(pieces.encode(text)) for text in vocabulary.world_captions(50, look=look)]
    assert np.mean(lengths) < 24, "a prompt fits the model's 24 tokens"


def test_the_same_captions_make_the_same_file(model, tmp_path):
    again = tmp_path / "again.model"
    assert vocabulary.train_vocabulary(vocabulary.world_captions(CAPTIONS), again, pieces=200) == model[1]
    assert again.read_bytes() == model[0].read_bytes()


def test_few_texts_make_few_pieces(tmp_path):
    count = vocabulary.train_vocabulary(["a red ball"] * 10, tmp_path / "few.model", pieces=400)
    assert 3 + 5 <= count < 60


@pytest.mark.parametrize("flags, look", [([], "lit"), (["--look=flat"], "flat")])
def test_the_command_reports_what_it_wrote(tmp_path, capsys, flags, look):
    out = tmp_path / "out.model"
    run(["vocabulary", str(out), "--captions", "60", "--pieces", "100", *flags])
    count = sentencepiece.SentencePieceProcessor(model_file=str(out)).get_piece_size()
    assert (
        capsys.readouterr().out
        == f"{count} pieces in {out}; the world's captions have {len(caption_words(look))} words\n"
    )


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--pieces=31"], "pieces 31: expected 32 to 64000"),
        (["--pieces=1000000"], "pieces 1000000"),
        (["--captions=0"], "captions 0: expected 1 to 10000000"),
        (["--look=oil"], "look 'oil': expected one of flat, lit"),
    ],
)
def test_numbers_out_of_range_are_one_line(tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        run(["vocabulary", str(tmp_path / "x.model"), *flags])
    assert not (tmp_path / "x.model").exists()


def test_a_vocabulary_of_nothing_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no vocabulary of 400 pieces can be made of these captions"):
        vocabulary.train_vocabulary([], tmp_path / "x.model")
