"""EdgeTAM with tiny random weights, written as a folder that the backend reads.

The released model's backbone is RepViT from the package `timm`; a few convolutions with the same outputs stand in for
it, and everything else is transformers' own.
"""

from pathlib import Path

import torch
import transformers
from transformers.modeling_outputs import BaseModelOutput

from tests.segment.tiny_sam import SIZE, write_video_model

WIDTHS = (8, 16, 32, 64)


class MapsConfig(transformers.PreTrainedConfig):
    model_type = "tiny_maps"


class Maps(transformers.PreTrainedModel):
    """Feature maps of four scales, as timm's models give them with ``features_only``."""

    config_class = MapsConfig

    def __init__(self, config):
        super().__init__(config)
        widths = (3, *WIDTHS)
        strides = (4, 2, 2, 2)
        self.stages = torch.nn.ModuleList(
            torch.nn.Conv2d(before, after, stride, stride) for before, after, stride in zip(widths, WIDTHS, strides)
        )
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.normal_(module.weight, std=0.2)

    def forward(self, pixel_values, **kwargs):
        maps = []
        for stage in self.stages:
            pixel_values = torch.tanh(stage(pixel_values))
            maps.append(pixel_values)
        return BaseModelOutput(last_hidden_state=maps)


transformers.AutoConfig.register("tiny_maps", MapsConfig, exist_ok=True)
transformers.AutoModel.register(MapsConfig, Maps, exist_ok=True)


def write_edgetam(folder: Path) -> Path:
    torch.manual_seed(0)
    vision = transformers.EdgeTamVisionConfig(
        backbone_config=MapsConfig(),
        backbone_channel_list=list(WIDTHS[::-1]),
        backbone_feature_sizes=[[SIZE // 4] * 2, [SIZE // 8] * 2, [SIZE // 16] * 2],
    )
    config = transformers.EdgeTamVideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": SIZE},
        image_size=SIZE,
        memory_attention_num_layers=1,
        memory_attention_mlp_hidden_size=64,
        memory_attention_rope_feat_sizes=[SIZE // 16, SIZE // 16],
        memory_attention_rope_k_sizes=[4, 4],
        perceiver_resampler_num_latents=16,
        perceiver_resampler_num_latents_2d=16,
        perceiver_resampler_num_layers=1,
    )
    return write_video_model(transformers.EdgeTamVideoModel(config), folder)
