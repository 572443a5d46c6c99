"""Text embeddings as files and as a batch."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.inference.prompt import Prompt


def test_the_negative_prompt_comes_first_and_only_under_guidance():
    prompt = Prompt(np.ones((3, 4), np.float32), np.zeros((3, 4), np.float32))
    assert prompt.batch(True)[:, 0, 0].tolist() == [0, 1]
    assert prompt.batch(False)[:, 0, 0].tolist() == [1]


def test_a_file_holds_both(tmp_path):
    pair = np.random.default_rng(0).random((2, 1, 4, 8)).astype(np.float16)
    np.savez(tmp_path / "e.npz", prompt_embeds=pair[0], negative_prompt_embeds=pair[1])
    prompt = Prompt.read(tmp_path / "e.npz")
    np.testing.assert_array_equal(np.stack(prompt), pair[:, 0].astype(np.float32))
    assert prompt.positive_ME.dtype == np.float32


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"prompt_embeds": np.zeros((1, 4, 8))}, "expected an .npz of prompt_embeds and negative_prompt_embeds"),
        (
            {"prompt_embeds": np.zeros((4, 8)), "negative_prompt_embeds": np.zeros((4, 8))},
            r"embeddings of shapes \(4, 8\) and \(4, 8\), expected \(1, M, E\) twice",
        ),
        (
            {"prompt_embeds": np.zeros((1, 4, 8)), "negative_prompt_embeds": np.zeros((1, 5, 8))},
            r"\(1, 4, 8\) and \(1, 5, 8\)",
        ),
        ({"prompt_embeds": np.array(["a"]), "negative_prompt_embeds": np.zeros((1, 5, 8))}, "expected an .npz"),
        ({name: np.full((1, 4, 8), np.nan) for name in ("prompt_embeds", "negative_prompt_embeds")}, "NaN or infinity"),
    ],
)
def test_other_files_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "e.npz", **arrays)
    with pytest.raises(UserError, match=message):
        Prompt.read(tmp_path / "e.npz")


def test_a_file_that_is_no_archive_is_named(tmp_path):
    (tmp_path / "e.npz").write_text("hello")
    for name in ("e.npz", "none.npz"):
        with pytest.raises(UserError, match=f"{name}: expected an .npz"):
            Prompt.read(tmp_path / name)


@pytest.mark.parametrize("shape", [(1, 0, 8), (1, 4, 0), (0, 4, 8)])
def test_embeddings_without_tokens_or_width_are_refused(tmp_path, shape):
    empty = np.zeros(shape, np.float32)
    np.savez(tmp_path / "e.npz", prompt_embeds=empty, negative_prompt_embeds=empty)
    with pytest.raises(UserError, match=r"expected \(1, M, E\) twice"):
        Prompt.read(tmp_path / "e.npz")
