"""DINOv2 against transformers, with random weights through the table."""

import numpy as np
import torch
from flax import nnx
from safetensors.numpy import load_file

from tests.torchvision_ops import transformers
from vp_jax.convert import engine
from vp_jax.convert.metrics import DINO_IGNORED, DINO_RULES, dino_description
from vp_jax.models.metrics.description import abstract_metric


def test_patches_are_where_transformers_puts_them(tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28, "patch_size": 7}
    theirs = transformers.Dinov2Model(transformers.Dinov2Config(**sizes)).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    graph, abstract = abstract_metric(dino_description(theirs.config.to_dict()))
    theirs.save_pretrained(tmp_path)  # under the names of the published files
    state = load_file(tmp_path / "model.safetensors")
    ours = nnx.merge(graph, engine.to_ours(state, DINO_RULES, DINO_IGNORED, abstract))
    pictures = np.random.default_rng(0).normal(size=(2, 28, 28, 3)).astype(np.float32)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(pictures).permute(0, 3, 1, 2)).last_hidden_state[:, 1:].numpy()
    np.testing.assert_allclose(ours(pictures).reshape(2, 16, 32), expected, atol=1e-4)
