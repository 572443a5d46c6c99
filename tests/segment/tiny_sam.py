"""SAM 2 and Grounding DINO with tiny random weights, written as folders that the backends read."""

from pathlib import Path

import torch
import transformers

SIZE = 128


def vision() -> dict:
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "image_size": [SIZE, SIZE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 1, 1],
        "global_attention_blocks": [3],
        "window_size_per_stage": [8, 4, 8, 4],
    }
    return {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": [64, 32, 16, 8],
        "backbone_feature_sizes": [[SIZE // 4] * 2, [SIZE // 8] * 2, [SIZE // 16] * 2],
        "fpn_hidden_size": 256,
    }


def write_video_model(model: transformers.PreTrainedModel, folder: Path) -> Path:
    """A model of SAM 2's kind, with the processor of its size."""
    with torch.no_grad():  # a thing in sight, whatever is shown
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(4.0)
    model.save_pretrained(folder)
    sides = {"size": {"height": SIZE, "width": SIZE}, "mask_size": {"height": SIZE // 4, "width": SIZE // 4}}
    transformers.Sam2VideoProcessor(
        image_processor=transformers.Sam2ImageProcessor(**sides),
        video_processor=transformers.Sam2VideoVideoProcessor(size=sides["size"]),
        target_size=SIZE,
    ).save_pretrained(folder)
    return folder


def write_sam2(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.Sam2VideoConfig(
        vision_config=vision(),
        prompt_encoder_config={"image_size": SIZE},
        image_size=SIZE,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[SIZE // 16, SIZE // 16],
    )
    return write_video_model(transformers.Sam2VideoModel(config), folder)


def write_grounding_dino(folder: Path) -> Path:
    torch.manual_seed(0)
    swin = {"embed_dim": 8, "depths": [1] * 4, "num_heads": [1] * 4, "window_size": 4, "image_size": 64}
    bert = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sides = ("encoder", "decoder")
    config = transformers.GroundingDinoConfig(
        backbone_config=transformers.SwinConfig(**swin, out_features=["stage2", "stage3", "stage4"]),
        text_config=transformers.BertConfig(**bert, intermediate_size=16),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        num_queries=20,
        **{f"{side}_attention_heads": 2 for side in sides},
        **{f"{side}_ffn_dim": 32 for side in sides},
    )
    transformers.GroundingDinoForObjectDetection(config).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "the", "red", "car"]
    tokenizer = transformers.BertTokenizerFast(vocab={word: number for number, word in enumerate(words)})
    processor = transformers.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96})
    transformers.GroundingDinoProcessor(processor, tokenizer).save_pretrained(folder)
    return folder
