"""Operation counts at the published size, against an independent count by layers (1 multiply-add = 2)."""

import jax
import pytest

from vp_jax.models.variants import variant
from vp_jax.training.flops import Flops, peak_flops, transformer_flops, video_tokens
from vp_jax.training.stages.branch import BranchStage
from vp_jax.training.stages.id_adapter import AdapterStage, adapter_config

T = 1e12


def test_forward_pass_of_the_5b_model():
    cfg = variant("cogvideox-5b-i2v").backbone
    tokens = video_tokens(cfg, 13, 60, 90)
    assert tokens == 17_550
    flops = transformer_flops(cfg, tokens)
    assert sum(flops) * 2 == pytest.approx(664.4 * T, rel=1e-3), "guided step: two examples"
    assert flops.attention / sum(flops) == pytest.approx(0.491, abs=1e-3)


def test_counts_match_the_compiled_forward_pass():
    """XLA's own count of an unrolled block at a small size, elementwise work aside."""
    from flax import nnx

    from vp_jax.models.config import DiTConfig
    from vp_jax.models.dit import DiT

    cfg = DiTConfig(
        4,
        64,
        1,
        in_channels=32,
        text_dim=64,
        max_text_len=32,
        learned_positions=True,
        sample_height=16,
        sample_width=16,
        sample_frames=9,
    )
    shapes = [jax.ShapeDtypeStruct(s, "float32") for s in ((1, 3, 16, 16, 32), (1, 32, 64), (1,))]
    from vp_jax import trees

    graph, params = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    lowered = jax.jit(lambda p, *a: nnx.merge(graph, p)(*a).sample).lower(params, *shapes)
    assert sum(transformer_flops(cfg, 3 * 64)) == pytest.approx(lowered.cost_analysis()["flops"], rel=0.06)


def test_a_step_costs_two_passes_of_frozen_and_three_of_trained_matmuls():
    models = variant("cogvideox-5b-i2v")
    tokens = video_tokens(models.backbone, 13, 60, 90)
    backbone, branch = (transformer_flops(cfg, tokens) for cfg in (models.backbone, models.branch.dit))
    stage1 = BranchStage(models.backbone, models.branch).flops(8, 13, 60, 90)
    hints = 2 * 2 * tokens * 3072**2
    want = 2 * backbone.matmul + 3 * (backbone.attention + sum(branch) + hints)
    assert stage1 == pytest.approx(8 * want)
    adapter = AdapterStage(models.backbone, models.branch, adapter_config())
    lora = 18.8 / 2 * T
    want = 2 * backbone.matmul + 3 * backbone.attention + 3 * lora + sum(branch) + hints
    assert adapter.flops(1, 13, 60, 90) == pytest.approx(want, rel=1e-3)
    assert Flops(1.0, 2.0).attention == 2.0


@pytest.mark.parametrize(
    "kind, peak",
    [("TPU v4", 275e12), ("TPU v5 lite", 197e12), ("TPU v5", 459e12), ("NVIDIA H200", 989e12), ("cpu", None)],
)
def test_peak_of_a_chip(kind, peak):
    assert peak_flops(kind) == peak
