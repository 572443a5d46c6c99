"""The model stays between jobs of equal model settings, and so do embeddings."""

import types

import numpy as np
import pytest

from tests.jobs.small_job import small_job
from tests.painter import painter  # noqa: F401
from vp_jax.errors import UserError
from vp_jax.inference import text
from vp_jax.inference.pipeline import Pipeline
from vp_jax.jobs.loading import MOST_PROMPTS, ModelCache, enough_memory

NO_TOKENS = np.zeros((0, 4), np.float32)


def test_equal_model_settings_load_once(tmp_path, painter, monkeypatch):  # noqa: F811
    loads = []
    monkeypatch.setattr(Pipeline, "load", lambda *args, **options: loads.append(options) or painter)
    loader = ModelCache()
    for changes in ({}, {"settings": {"seed": 3}}, {"mask_dilate": 2, "out": tmp_path / "b.mkv"}):
        assert loader.load(small_job(tmp_path, **changes)) is painter
    assert len(loads) == 1
    loader.load(small_job(tmp_path, id_scale=0.5))
    loader.load(small_job(tmp_path))
    assert [load["id_scale"] for load in loads] == [1.0, 0.5, 1.0]


def test_embeddings_are_made_once_and_the_oldest_are_let_go(painter, monkeypatch):  # noqa: F811
    calls, loader = [], ModelCache()
    made = painter.window_prompts
    monkeypatch.setattr(painter, "window_prompts", lambda texts, negative: calls.append(texts) or made(texts, negative))
    first = loader.encode(painter, ["a", "bb", "a"], "no")
    assert first[0] is first[2] and calls == [["a", "bb"]]
    assert loader.encode(painter, ["bb"], "no")[0] is first[1] and len(calls) == 1
    loader.encode(painter, ["bb"], "other")
    assert calls[1:] == [["bb"]]
    loader.encode(painter, [str(number) for number in range(MOST_PROMPTS)], "no")
    loader.encode(painter, ["a"], "no")
    assert calls[-1] == ["a"]


def test_a_model_without_text_encoder_is_refused_where_words_are_given(tmp_path, painter, monkeypatch):  # noqa: F811
    monkeypatch.setattr(painter, "has_text_encoder", False)
    loader = ModelCache()
    loader.load(small_job(tmp_path))
    with pytest.raises(UserError, match="has no text encoder: give `prompt_embeds` instead of `prompt`"):
        loader.load(small_job(tmp_path, prompt_embeds=None, prompt="a fox"))


def test_too_little_memory_names_what_needs_less():
    with pytest.raises(UserError, match="out of device memory: try less"), enough_memory("less"):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")
    with pytest.raises(RuntimeError, match="another"), enough_memory("less"):
        raise RuntimeError("another")


def test_prompts_are_encoded_before_a_model_is_loaded(tmp_path, monkeypatch):
    """T5 needs 9.5 GB at full size: it is gone when the 12 GB of the model come."""
    order = []
    monkeypatch.setattr(text, "encode_texts", lambda texts, *_: order.append(texts) or [NO_TOKENS] * 2)
    monkeypatch.setattr(Pipeline, "load", lambda *_, **__: order.append("model") or ready)
    ready, loader = types.SimpleNamespace(has_text_encoder=True), ModelCache()
    job = small_job(tmp_path, checkpoint="nano", prompt_embeds=None, prompt="a fox")
    assert loader.load(job, ["a fox", "a hen", "a fox"]) is ready
    assert order == [["a fox", ""], ["a hen", ""], "model"]
    loader.encode(ready, ["a hen", "a fox"], "")
    loader.load(job, ["a fox"])
    assert len(order) == 3, "what was encoded is kept, as the model is"
