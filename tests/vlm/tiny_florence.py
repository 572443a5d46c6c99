"""Florence-2 with tiny random weights that gives one answer, written as a folder with its real processor."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

ANSWER = "red car<loc_100><loc_100><loc_700><loc_800>dog<loc_5><loc_5><loc_500><loc_500>"
SIDE, WIDTH = 32, 64


def write_florence(folder: Path, answer: str = ANSWER) -> Path:
    """A model that answers so, whatever it sees."""
    tokenizer = _tokenizer()
    pictures = transformers.CLIPImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, do_center_crop=False, crop_size={"height": SIDE, "width": SIDE}
    )
    pictures.image_seq_length = 2  # one cell and its mean
    rules = {"description_with_bboxes": {}}
    processor = transformers.Florence2Processor(pictures, tokenizer, post_processor_config=rules)
    model = _model(tokenizer)
    _answers_always(model, tokenizer(f"{answer}</s>", add_special_tokens=False).input_ids)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _tokenizer():
    special = ["<s>", "<pad>", "</s>", "<unk>", "<image>", *(f"<loc_{number}>" for number in range(1000))]
    letters = [chr(code) for code in range(33, 127)]
    vocabulary = {word: number for number, word in enumerate([*special, *letters, "Ġ"])}
    inner = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens(special)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )


def _model(tokenizer):
    torch.manual_seed(0)
    one = [1, 1, 1, 1]
    vision = transformers.models.florence2.Florence2VisionConfig(
        depths=one, embed_dim=[8] * 4, num_heads=one, num_groups=one, window_size=4, projection_dim=WIDTH,
        drop_path_rate=0.0,
    )  # fmt: skip
    text = transformers.BartConfig(
        vocab_size=len(tokenizer), d_model=WIDTH, max_position_embeddings=128, dropout=0.0,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=None,
        **{f"{side}_{name}": value for side in ("encoder", "decoder")
           for name, value in {"layers": 1, "ffn_dim": 32, "attention_heads": 2}.items()},
    )  # fmt: skip
    config = transformers.Florence2Config(
        vision_config=vision.to_dict(), text_config=text.to_dict(), image_token_id=tokenizer.image_token_id
    )
    return transformers.Florence2ForConditionalGeneration(config).eval()


def _answers_always(model, ids):
    """Let the position alone decide which token comes next; everything else keeps its random weights.

    Positions are far apart and long, so that what layers and tokens add to them does not matter; the output row of a
    token, which is its input row as well, points to the positions where it belongs.
    """
    with torch.no_grad():
        decoder = model.model.language_model.decoder
        directions = torch.linalg.qr(torch.randn(WIDTH, WIDTH))[0][: len(ids)] * WIDTH**0.5
        decoder.embed_positions.weight[2 : 2 + len(ids)] = 100 * directions  # BART's first position is 2
        for place, token in enumerate(ids):
            model.get_output_embeddings().weight[token] += directions[place]
