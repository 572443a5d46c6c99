"""A local model of transformers, with tiny random weights and a real processor."""

import numpy as np
import pytest

from vp_jax.errors import UserError
from vp_jax.vlm.local import LocalVlm
from vp_jax.vlm.protocol import Limits, Question

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %} assistant:"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("llava")
    words = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "user", "assistant", ":", "what", "?", "a", "fox", "dog"]
    inner = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )
    side = {"height": 16, "width": 16}
    pictures = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=side)
    LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    ).save_pretrained(place)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=CLIPVisionConfig(image_size=16, patch_size=8, projection_dim=16, **size),
            text_config=LlamaConfig(vocab_size=len(words), num_key_value_heads=2, pad_token_id=0, **size),
            image_token_index=4,
            image_token_id=4,
            vision_feature_layer=-1,
        )
    )
    model.generation_config.suppress_tokens = [0, 1, 2, 3, 4]  # random weights end their reply anywhere
    model.save_pretrained(place)
    return place


@pytest.mark.slow
def test_a_folder_of_weights_replies_in_words_of_its_own(folder):
    vlm = LocalVlm(str(folder), Limits(tokens=6, attempts=1))
    frame_HWC = np.zeros((20, 30, 3), np.uint8)
    blind, seeing = vlm.ask("what a fox ?"), vlm.ask("what a fox ?", [frame_HWC])
    assert (
        vlm.name == str(folder) and len(blind.split()) == len(seeing.split()) == 6 and blind == vlm.ask("what a fox ?")
    )
    with pytest.raises(UserError, match="no usable reply in 1 attempts"):
        vlm.ask("what a fox ?", [frame_HWC], {"type": "object"})


@pytest.mark.slow
def test_questions_asked_together_are_answered_as_each_alone(folder):
    vlm = LocalVlm(str(folder), Limits(tokens=6, attempts=1))
    frame_HWC = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    questions = [
        Question("what a fox ?", [frame_HWC]),
        Question("what a dog ? what ? what a fox ?", [frame_HWC]),
        Question("what ?", [frame_HWC], {"type": "object"}),
    ]
    first, second, bad = vlm.ask_all(questions)
    assert [first, second] == [vlm.ask(*question) for question in questions[:2]]
    assert isinstance(bad, UserError) and "no usable reply in 1 attempts" in str(bad)


def test_a_reply_that_cannot_be_used_is_asked_for_again_alone(tmp_path, monkeypatch):
    vlm, said = LocalVlm(str(tmp_path)), []

    def say_all(questions):
        said.append([text.split("\n")[0] for text, _ in questions])
        return ['{"n": 1}' if len(said) > 1 or text.startswith("one") else "no" for text, _ in questions]

    monkeypatch.setattr(vlm, "_say_all", say_all)
    form = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert vlm.ask_all([Question("one", (), form), Question("two", (), form)]) == [{"n": 1}, {"n": 1}]
    assert said == [["one", "two"], ["two"]]


def test_what_is_no_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"vlm local:.* cannot be loaded"):
        LocalVlm(str(tmp_path)).ask("what?")
