"""A file of VideoMAE-v2 through the command, against transformers."""

import numpy as np
import pytest
import torch
from flax import nnx

from tests.torchvision_ops import transformers
from vp_jax.convert.metric_parts import convert_metric
from vp_jax.convert.tensors import Tensor
from vp_jax.convert.videomae_v2 import as_videomae
from vp_jax.errors import UserError
from vp_jax.eval.weights import read_network

NAMES = {
    "layernorm_before": "norm1", "layernorm_after": "norm2", "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1", "output.dense": "mlp.fc2",
}  # fmt: skip


def released(model) -> dict[str, torch.Tensor]:
    """The state of a small model under the names of VideoMAE-v2."""
    state = {}
    for number, layer in enumerate(model.videomae.encoder.layer):
        attention = layer.attention.attention
        for theirs, ours in NAMES.items():
            module = layer.get_submodule(theirs)
            state |= {f"blocks.{number}.{ours}.{key}": value for key, value in module.state_dict().items()}
        joined = torch.cat([attention.query.weight, attention.key.weight, attention.value.weight])
        state[f"blocks.{number}.attn.qkv.weight"] = joined.detach()
        state[f"blocks.{number}.attn.q_bias"] = attention.query.bias.detach()
        state[f"blocks.{number}.attn.v_bias"] = attention.value.bias.detach()
    for ours, module in (
        ("patch_embed.proj", model.videomae.embeddings.patch_embeddings.projection),
        ("fc_norm", model.fc_norm),
        ("head", model.classifier),
    ):
        state |= {f"{ours}.{key}": value for key, value in module.state_dict().items()}
    return state


@pytest.mark.slow
def test_a_file_of_videomae_v2_gives_the_features_of_its_model(tmp_path):
    torch.manual_seed(0)
    cfg = transformers.VideoMAEConfig(
        hidden_size=384, num_attention_heads=6, intermediate_size=400, num_hidden_layers=2, image_size=16,
        patch_size=8, num_frames=4, layer_norm_eps=1e-6,
    )  # fmt: skip
    theirs = transformers.VideoMAEForVideoClassification(cfg).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    theirs.fc_norm.eps = 1e-6
    (tmp_path / "source").mkdir()
    torch.save({"module": released(theirs)}, tmp_path / "source" / "vit.pth")
    convert_metric("videomae", tmp_path / "source", tmp_path / "videomae")
    network = read_network(tmp_path / "videomae")
    assert (network.description.heads, network.description.layers, network.description.epsilon_out) == (6, 2, 1e-6)
    clips = np.random.default_rng(0).normal(size=(2, 4, 16, 16, 3)).astype(np.float32)
    with torch.no_grad():
        tokens = theirs.videomae(torch.from_numpy(clips).permute(0, 1, 4, 2, 3)).last_hidden_state
        expected = theirs.fc_norm(tokens.mean(1)).numpy()
    np.testing.assert_allclose(nnx.merge(network.graph, network.params)(clips), expected, atol=1e-4)


def test_files_of_transformers_pass_as_they_are_and_other_widths_are_refused():
    def stored(*shape):
        return Tensor(shape, np.dtype(np.float32), lambda: np.zeros(shape, np.float32))

    tensors = {"embeddings.patch_embeddings.projection.weight": stored(8, 3, 2, 4, 4)}
    assert as_videomae(tensors, {"patch_size": 4}) == (tensors, {"patch_size": 4})
    with pytest.raises(UserError, match="VideoMAE-v2 of width 8: expected one of 384, 768"):
        as_videomae({"patch_embed.proj.weight": stored(8, 3, 2, 4, 4)}, {})
