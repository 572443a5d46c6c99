"""VideoPainter's wiring: properties that hold for any weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.models.branch import Branch, init_from_backbone
from vp_jax.models.config import BranchConfig, DiTConfig
from vp_jax.models.dit import Context, DiT, Extension, rotation_for
from vp_jax.models.id_resample import PreviousWindow, Resample
from vp_jax.models.inpaint import InjectionSettings, predict

DIT = DiTConfig(
    num_heads=2,
    head_dim=16,
    num_layers=5,
    in_channels=8,
    out_channels=4,
    text_dim=12,
    time_dim=8,
    max_text_len=3,
    sample_height=4,
    sample_width=6,
    sample_frames=9,
)
BRANCH = BranchConfig(DiTConfig(**{**DIT.__dict__, "num_layers": 2, "in_channels": 9}))


@pytest.fixture(scope="module")
def models():
    return DiT(DIT, rngs=nnx.Rngs(0)), Branch(BRANCH, rngs=nnx.Rngs(1))


@pytest.fixture(scope="module")
def inputs():
    keys = jax.random.split(jax.random.key(2), 4)
    noisy, image, masked = (jax.random.normal(k, (2, 3, 4, 6, 4)) for k in keys[:3])
    mask = jnp.zeros((2, 3, 4, 6, 1)).at[:, :, :2, :4].set(1)
    text = jax.random.normal(keys[3], (2, 3, 12))
    return noisy, image, jnp.concatenate([masked, mask], -1), text, jnp.array([10, 900])


def test_scanned_blocks_equal_a_loop(models, inputs):
    backbone, _ = models
    noisy, image, _, text, t = inputs
    latents = jnp.concatenate([noisy, image], -1)

    class Record(Extension):
        def record(self, layer, x_BSD):
            return x_BSD

    scanned = backbone(latents, text, t, extension=Record()).recorded
    x = backbone.patch_embed(latents, text)
    ctx = Context(backbone.time_embed(t), rotation_for(DIT, latents, 3), 3)
    graph, params = trees.split(backbone.blocks)
    for i in range(DIT.num_layers):
        block = nnx.merge(graph, jax.tree.map(lambda a: a[i], params))  # noqa: B023
        x = block(x, ctx, Extension())
        assert relative_error(scanned[i], x) < 1e-6


def test_partial_injection_stops_at_wholly_masked_tokens_alone(models, inputs):
    noisy, image, condition, text, t = inputs

    def sample(columns, tokens):
        cut = condition.at[..., -1].set(0).at[:, :, :2, :columns, -1].set(1)
        return predict(*models, noisy, image, cut, text, t, injection=InjectionSettings(tokens=tokens)).sample

    np.testing.assert_array_equal(sample(4, "partial"), sample(4, "background"))  # two whole tokens
    np.testing.assert_array_equal(sample(1, "partial"), sample(1, "all"))  # half a token
    assert relative_error(sample(1, "partial"), sample(1, "background")) > 1e-3


def test_zero_linears_make_the_branch_an_exact_no_op(models, inputs):
    backbone, _ = models
    noisy, image, condition, text, t = inputs
    graph, fresh = trees.split(models[1])
    started = init_from_backbone(trees.split(backbone)[1], fresh, latent_channels=4)
    got = predict(backbone, nnx.merge(graph, started), noisy, image, condition, text, t).sample
    want = backbone(jnp.concatenate([noisy, image], -1), text, t).sample
    np.testing.assert_array_equal(got, want)


def test_hints_change_the_output_and_scale_zero_does_not(models, inputs):
    from vp_jax.models.inpaint import InjectionSettings

    backbone, branch = models
    noisy, image, condition, text, t = inputs
    plain = backbone(jnp.concatenate([noisy, image], -1), text, t).sample
    assert relative_error(predict(backbone, branch, *inputs).sample, plain) > 1e-3
    off = predict(backbone, branch, *inputs, injection=InjectionSettings(scale=0.0)).sample
    np.testing.assert_array_equal(off, plain)


@pytest.mark.parametrize("policy", ["nothing_saveable", "save_attention", "offload_attention"])
def test_remat_changes_nothing(models, inputs, policy):
    noisy, image, condition, text, t = inputs
    params, branch = trees.split(models[0])[1], models[1]

    def loss(remat):
        cfg = DiTConfig(**{**DIT.__dict__, "remat": remat})
        graph, _ = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
        return jax.jit(jax.grad(lambda p: predict(nnx.merge(graph, p), branch, *inputs).sample.sum()))(params)

    got, want = trees.flatten(loss(policy)), trees.flatten(loss(""))
    assert got.keys() == want.keys()
    for path, gradient in want.items():  # not number by number: sums that cancel differ with the order of additions
        assert relative_error(got[path], gradient) < 1e-6, path


def test_bfloat16_is_near_float32(models, inputs):
    outputs = []
    for dtype in ("float32", "bfloat16"):
        dit = DiTConfig(**{**DIT.__dict__, "dtype": dtype, "param_dtype": dtype})
        branch = BranchConfig(DiTConfig(**{**BRANCH.dit.__dict__, "dtype": dtype, "param_dtype": dtype}))
        graphs = [
            trees.abstract(lambda: DiT(dit, rngs=nnx.Rngs(0)))[0],  # noqa: B023
            trees.abstract(lambda: Branch(branch, rngs=nnx.Rngs(0)))[0],  # noqa: B023
        ]
        built = [nnx.merge(g, trees.cast(trees.split(m)[1], dtype)) for g, m in zip(graphs, models)]
        outputs.append(predict(*built, *inputs).sample.astype(jnp.float32))
    assert relative_error(outputs[1], outputs[0]) < 2e-2


def test_empty_previous_mask_and_own_empty_mask_agree(models, inputs):
    """With nothing masked, every extra key is the norm's bias, wherever it came from."""
    noisy, image, condition, text, t = inputs
    none = jnp.zeros((2, 3 + 18), bool)
    states = jax.random.normal(jax.random.key(5), (5, 2, 21, 32))
    own = predict(*models, *inputs, resample=Resample(True, none)).sample
    previous = predict(*models, *inputs, resample=Resample(True, none, PreviousWindow(states, none), 0.5)).sample
    np.testing.assert_allclose(own, previous, atol=1e-6)


def test_attention_backends_agree(models, inputs):
    params = trees.split(models[0])[1]
    noisy, image, _, text, t = inputs
    got = []
    for name in ("xla", "chunked"):
        graph, _ = trees.abstract(
            lambda: DiT(
                DiTConfig(**{**DIT.__dict__, "attention": name}),  # noqa: B023
                rngs=nnx.Rngs(0),
            )
        )
        got.append(nnx.merge(graph, params)(jnp.concatenate([noisy, image], -1), text, t).sample)
    assert relative_error(*got) < 1e-6
