"""The backbone against diffusers at random tiny sizes, block by block, and at full size by shape alone."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from flax import nnx

from tests.compare import relative_error
from tests.models.random_weights import run
from tests.models.tiny import DIT
from vp_jax import sharding, trees
from vp_jax.convert import dit as dit_table
from vp_jax.convert import engine
from vp_jax.errors import UserError
from vp_jax.models import rope
from vp_jax.models.config import DiTConfig
from vp_jax.models.dit import Context, DiT, Extension, rotation_for
from vp_jax.models.inpaint import predict

MANIFESTS = Path(__file__).parent.parent / "manifests"

VARIANTS = {
    # name: (description, latents (T, h, w), text tokens)
    "t2v_rope": (DiTConfig(3, 16, 3, text_dim=10, time_dim=12, max_text_len=5), (3, 6, 10), 4),
    "t2v_sincos": (
        DiTConfig(
            2,
            24,
            2,
            text_dim=10,
            time_dim=12,
            max_text_len=5,
            rope=False,
            sample_height=6,
            sample_width=8,
            sample_frames=9,
        ),
        (3, 6, 8),
        5,
    ),
    "t2v_sincos_other_size": (
        DiTConfig(
            2,
            24,
            2,
            text_dim=10,
            time_dim=12,
            max_text_len=5,
            rope=False,
            sample_height=6,
            sample_width=8,
            sample_frames=9,
        ),
        (2, 8, 6),
        5,
    ),
    "i2v": (
        DiTConfig(
            2,
            32,
            4,
            in_channels=32,
            text_dim=8,
            time_dim=16,
            max_text_len=3,
            learned_positions=True,
            sample_height=4,
            sample_width=12,
            sample_frames=5,
        ),
        (2, 4, 12),
        3,
    ),
    "i2v_other_length": (
        DiTConfig(
            2,
            32,
            2,
            in_channels=32,
            text_dim=8,
            time_dim=16,
            max_text_len=3,
            learned_positions=True,
            sample_height=4,
            sample_width=12,
            sample_frames=5,
        ),
        (4, 4, 12),
        3,
    ),
    "1.5_t2v": (
        DiTConfig(2, 16, 2, text_dim=8, time_dim=8, max_text_len=4, patch_t=2, sample_height=8, sample_width=12),
        (4, 6, 10),
        4,
    ),
    "1.5_i2v": (
        DiTConfig(
            3,
            16,
            2,
            in_channels=32,
            text_dim=8,
            time_dim=8,
            max_text_len=4,
            patch_t=2,
            ofs_dim=8,
            sample_height=8,
            sample_width=12,
        ),
        (2, 4, 6),
        4,
    ),
}


def random_torch(cfg, seed=0):
    torch.manual_seed(seed)
    model = CogVideoXTransformer3DModel(**dit_table.config_to_torch(cfg)).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(0.1 * torch.randn_like(tensor))
    return model


def ours_of(model, cfg):
    graph, shapes = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    state = {k: v.numpy() for k, v in model.state_dict().items()}
    return nnx.merge(graph, engine.to_ours(state, dit_table.RULES, dit_table.IGNORED, shapes))


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_forward_equals_diffusers(name):
    cfg, (T, h, w), text_len = VARIANTS[name]
    model = random_torch(cfg)
    rng = np.random.default_rng(1)
    latents = rng.standard_normal((2, T, h, w, cfg.in_channels), np.float32)
    text = rng.standard_normal((2, text_len, cfg.text_dim), np.float32)
    t = np.array([17, 830])
    rotary = None
    if cfg.rope:
        table = rope.rotation(T // (cfg.patch_t or 1), h // 2, w // 2, cfg.head_dim, 0, stretch=not cfg.patch_t)
        rotary = tuple(torch.from_numpy(np.repeat(x, 2, axis=1)) for x in table[:2])
    ofs = np.full((1,), 2.0, np.float32) if cfg.ofs_dim else None
    with torch.no_grad():
        want = model(
            torch.from_numpy(latents.transpose(0, 1, 4, 2, 3).copy()),
            torch.from_numpy(text),
            torch.from_numpy(t),
            image_rotary_emb=rotary,
            ofs=None if ofs is None else torch.from_numpy(ofs),
            return_dict=False,
        )[0].numpy()
    got = jax.jit(lambda ours, *args: ours(*args, ofs_B=ofs).sample)(ours_of(model, cfg), latents, text, t)
    assert relative_error(np.asarray(got).transpose(0, 1, 4, 2, 3), want) <= 1e-5


def test_head_sizes_that_cannot_rotate_are_named():
    with pytest.raises(UserError, match="head_dim 24: expected a multiple of 16"):
        DiTConfig(2, 24, 2)


def test_full_size_forward_by_shape():
    manifest = json.loads((MANIFESTS / "cogvideox_5b_i2v_transformer.json").read_text())
    cfg = DiTConfig(**{**dit_table.config_from_torch(manifest["config"]).__dict__, "attention": "chunked"})
    model = nnx.eval_shape(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    out = nnx.eval_shape(
        lambda m: m(jnp.zeros((2, 13, 60, 90, 32)), jnp.zeros((2, 226, 4096)), jnp.zeros((2,))).sample, model
    )
    assert out.shape == (2, 13, 60, 90, 16)


@pytest.mark.slow
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


@pytest.fixture(scope="module")
def gradients(models, inputs):
    """Of a scalar of the output by the backbone's parameters, by path, under a rematerialisation policy."""
    params, branch = trees.split(models[0])[1], models[1]

    @functools.cache
    def of(policy):
        cfg = dataclasses.replace(DIT, remat=policy)
        graph, _ = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
        loss = lambda p: predict(nnx.merge(graph, p), branch, *inputs).sample.sum()  # noqa: E731
        return trees.flatten(jax.jit(jax.grad(loss))(params))

    return of


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["nothing_saveable", "save_attention", "offload_attention"])
def test_remat_changes_nothing(gradients, policy):
    got, want = gradients(policy), gradients("")
    assert got.keys() == want.keys()
    for path, gradient in want.items():  # not number by number: sums that cancel differ with the order of additions
        assert relative_error(got[path], gradient) < 1e-6, path


def test_attention_backends_agree(models, inputs):
    params = trees.split(models[0])[1]
    noisy, image, _, text, t = inputs
    got = []
    for name in ("xla", "chunked"):
        cfg = dataclasses.replace(DIT, attention=name)
        graph, _ = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))  # noqa: B023
        got.append(run(nnx.merge(graph, params), jnp.concatenate([noisy, image], -1), text, t).sample)
    assert relative_error(*got) < 1e-6


class Marked(Extension):
    """Adds its layer's number after each block and records what left it."""

    def per_layer(self):
        return jnp.arange(DIT.num_layers, dtype=jnp.float32)

    def after_block(self, layer, x_BSD):
        return x_BSD + layer

    def record(self, layer, x_BSD):
        return layer, x_BSD


@pytest.mark.slow
def test_an_extension_gets_its_own_layer_and_records_what_left_the_block(models, inputs):
    """Block i starts from the recorded state of block i - 1, which holds what the extension added."""
    backbone, _ = models
    noisy, image, _, text, t = inputs
    latents = jnp.concatenate([noisy, image], -1)
    numbers, states = backbone(latents, text, t, extension=Marked()).recorded
    assert numbers.tolist() == list(range(DIT.num_layers))
    ctx = Context(backbone.time_embed(t), rotation_for(DIT, latents, 3), 3)
    graph, params = trees.split(backbone.blocks)
    third = nnx.merge(graph, jax.tree.map(lambda a: a[2], params))
    assert relative_error(states[2], third(states[1], ctx, Extension()) + 2) < 1e-6


def test_examples_of_a_batch_do_not_see_each_other(models, inputs):
    noisy, image, _, text, t = inputs
    latents = jnp.concatenate([noisy, image], -1)
    both = run(models[0], latents, text, t).sample
    for i in range(2):
        alone = run(models[0], latents[i : i + 1], text[i : i + 1], t[i : i + 1]).sample
        assert relative_error(both[i : i + 1], alone) < 1e-6


def test_an_unknown_policy_is_named(models, inputs):
    cfg = dataclasses.replace(DIT, remat="everything")
    graph, shapes = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    with pytest.raises(UserError, match="remat 'everything': expected one of nothing_saveable, save_attention"):
        jax.eval_shape(lambda p: nnx.merge(graph, p)(jnp.zeros((1, 3, 4, 6, 8)), inputs[3][:1], inputs[4][:1]), shapes)


def test_a_model_that_embeds_an_ofs_value_asks_for_it():
    cfg, (T, h, w), text_len = VARIANTS["1.5_i2v"]
    graph, shapes = trees.abstract(lambda: DiT(cfg, rngs=nnx.Rngs(0)))
    latents, text = jnp.zeros((1, T, h, w, 32)), jnp.zeros((1, text_len, cfg.text_dim))
    with pytest.raises(ValueError, match="pass ofs_B"):
        jax.eval_shape(lambda p: nnx.merge(graph, p)(latents, text, jnp.zeros((1,))), shapes)


@pytest.mark.parametrize("shape", [(1, 3, 4, 6, 7), (1, 3, 4, 6, 9)])
def test_wrong_channels_are_an_error(models, inputs, shape):
    with pytest.raises(AssertionError):
        models[0](jnp.zeros(shape), inputs[3][:1], inputs[4][:1])


def test_blocks_in_the_host_s_memory_are_fetched_one_at_a_time_on_a_gpu(models, inputs):
    """Lowered for CUDA: their arguments are in the host's memory, and the body of the scan moves its block."""
    params = trees.split(models[0])[1]
    graph, _ = trees.abstract(lambda: DiT(dataclasses.replace(DIT, weights="host"), rngs=nnx.Rngs(0)))
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    where = sharding.blocks_in_host_memory(jax.tree.map(lambda _: device, params))
    noisy, image, _, text, t = inputs
    step = jax.jit(lambda params, *given: nnx.merge(graph, params)(*given).sample)
    traced = step.trace(jax.device_put(params, where), jnp.concatenate([noisy, image], -1), text, t)
    lowered = traced.lower(lowering_platforms=("cuda",)).as_text()
    count = len(jax.tree.leaves(params["blocks"]))
    assert lowered.count('mhlo.memory_kind = "pinned_host"') == count
    assert lowered.count("annotate_device_placement") == count
