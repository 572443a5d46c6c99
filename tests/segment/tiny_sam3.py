"""SAM 3 with tiny random weights and its real processor, written as a folder that the backend reads."""

from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

SIDE, PATCH = 112, 14
CELLS = SIDE // PATCH
MAPS = [[CELLS * 4] * 2, [CELLS * 2] * 2, [CELLS] * 2]
WORDS = ("<pad>", "<s>", "</s>", "<unk>", "a", "red", "fox", "dog")


def write_sam3(folder: Path) -> Path:
    torch.manual_seed(0)
    vision = {
        "backbone_config": {
            "model_type": "sam3_vit_model",
            **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1},
            **{"image_size": SIDE, "patch_size": PATCH, "window_size": 4, "global_attn_indexes": [0]},
            "pretrain_image_size": SIDE,
        },
        "backbone_feature_sizes": MAPS,
    }
    text = {"vocab_size": len(WORDS), "hidden_size": 16, "intermediate_size": 16, "projection_dim": 16}
    layers = {"num_layers": 1, "intermediate_size": 32}
    detector = transformers.Sam3Config(
        vision_config=vision,
        text_config={
            "model_type": "clip_text_model",
            **{**text, "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 32},
            **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
        },
        geometry_encoder_config=layers,
        detr_encoder_config=layers,
        detr_decoder_config={**layers, "num_queries": 1},
    )
    tracker = transformers.Sam3TrackerVideoConfig(
        vision_config={"model_type": "sam3_vision_model", **vision},
        prompt_encoder_config={"image_size": SIDE, "patch_size": PATCH},
        image_size=SIDE,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[CELLS, CELLS],
    )
    config = transformers.Sam3VideoConfig(
        detector_config=detector,
        tracker_config=tracker,
        low_res_mask_size=4 * CELLS,
        score_threshold_detection=0.0,
        new_det_thresh=0.0,
        max_num_objects=2,
        hotstart_delay=0,
        hotstart_unmatch_thresh=0,
        hotstart_dup_thresh=0,
    )
    transformers.Sam3VideoModel(config).save_pretrained(folder)
    _processor().save_pretrained(folder)
    return folder


def _processor():
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    size = {"height": SIDE, "width": SIDE}
    pictures = transformers.Sam3ImageProcessor(size=size, mask_size={"height": 4 * CELLS, "width": 4 * CELLS})
    videos = transformers.Sam2VideoVideoProcessor(size=size)
    return transformers.Sam3VideoProcessor(pictures, videos, tokenizer, target_size=SIDE)
