"""First frames by diffusers, with a tiny random Stable Diffusion inpainting pipeline."""

import json

import numpy as np
import pytest

from vp_jax.edit.diffused import painted_size, painter
from vp_jax.edit.wanted import Wanted
from vp_jax.errors import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionInpaintPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    words = tmp_path_factory.mktemp("words")
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz")]
    vocabulary = {word: n for n, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    (words / "vocab.json").write_text(json.dumps(vocabulary))
    (words / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=16)
    size = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
    blocks = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    }
    unet = UNet2DConditionModel(
        sample_size=64, in_channels=9, out_channels=4, cross_attention_dim=8, attention_head_dim=4, **size, **blocks
    )
    coder = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    vae = AutoencoderKL(latent_channels=4, **size, **coder)
    text = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        intermediate_size=8,
        num_attention_heads=2,
        num_hidden_layers=1,
        max_position_embeddings=16,
        bos_token_id=52,
        eos_token_id=53,
        pad_token_id=53,
    )
    pipeline = StableDiffusionInpaintPipeline(
        vae=vae,
        unet=unet,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        scheduler=DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    place = tmp_path_factory.mktemp("sd")
    pipeline.save_pretrained(place)
    return place


@pytest.mark.slow
def test_a_folder_of_diffusers_paints_by_seed(folder):
    frame_HWC = np.random.default_rng(0).integers(0, 256, (33, 50, 3), np.uint8)
    hole_HW = np.zeros((33, 50), bool)
    hole_HW[4:20, 4:30] = True
    wanted = Wanted(frame_HWC, hole_HW, "a fox", "dog")
    first, other, again = painter(str(folder), steps=2)(wanted, [1, 2, 1])
    assert first.shape == (32, 48, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.slow
def test_what_cannot_be_loaded_is_one_line(tmp_path):
    wanted = Wanted(np.zeros((16, 16, 3), np.uint8), np.ones((16, 16), bool), "", "")
    with pytest.raises(UserError, match=r"first_frame diffusers:.* cannot be loaded"):
        list(painter(str(tmp_path))(wanted, [1]))
    with pytest.raises(UserError, match="expected diffusers:FOLDER_OR_ID"):
        painter("")


@pytest.mark.parametrize(
    "size, painted", [((480, 720), (480, 720)), ((1080, 1920), (576, 1024)), ((33, 50), (32, 48)), ((4, 4), (16, 16))]
)
def test_the_painted_size_suits_every_pipeline(size, painted):
    assert painted_size(*size) == painted
