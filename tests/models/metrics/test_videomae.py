"""VideoMAE against transformers, with tiny random weights through the table."""

import jax
import numpy as np
import pytest
import torch
from flax import nnx
from safetensors.numpy import load_file

from tests.torchvision_ops import transformers
from vp_jax.convert import engine
from vp_jax.convert.metrics import METRICS
from vp_jax.models.metrics.description import abstract_metric
from vp_jax.models.metrics.videomae import sinusoid_table

SIZES = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 24,
    "patch_size": 8, "num_frames": 4, "decoder_hidden_size": 12, "decoder_num_attention_heads": 2,
    "decoder_num_hidden_layers": 1, "decoder_intermediate_size": 8,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("pooled", [False, True], ids=["pretrained", "fine-tuned"])
def test_features_are_the_mean_of_what_transformers_gives(pooled, tmp_path):
    torch.manual_seed(0)
    cfg = transformers.VideoMAEConfig(**SIZES, use_mean_pooling=pooled)
    kind = transformers.VideoMAEForVideoClassification if pooled else transformers.VideoMAEForPreTraining
    theirs = kind(cfg).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.save_pretrained(tmp_path)  # under the names of the published files
    state = load_file(tmp_path / "model.safetensors")
    entry = METRICS["videomae"]
    named = {entry.rename(key): value for key, value in state.items()}
    graph, abstract = abstract_metric(entry.describe(cfg.to_dict()))
    ours = nnx.merge(graph, engine.to_ours(named, entry.rules, entry.ignored, abstract))
    clips = np.random.default_rng(0).normal(size=(2, 4, 24, 24, 3)).astype(np.float32)
    with torch.no_grad():
        tokens = theirs.videomae(torch.from_numpy(clips).permute(0, 1, 4, 2, 3)).last_hidden_state
        expected = (theirs.fc_norm(tokens.mean(1)) if pooled else tokens.mean(1)).numpy()
    np.testing.assert_allclose(jax.jit(lambda x: ours(x))(clips), expected, atol=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 1e-2


def test_places_are_sines_and_cosines_of_their_number():
    table = sinusoid_table(1568, 768)
    assert table.dtype == np.float32 and table.shape == (1568, 768)
    rate = 10000 ** (-400 / 768)
    np.testing.assert_allclose(table[1567, 400:402], [np.sin(1567 * rate), np.cos(1567 * rate)], atol=1e-6)
