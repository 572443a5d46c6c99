"""Adapters on a small model built like the backbone: stacked, scanned blocks and single Linears."""

import jax
import jax.numpy as jnp
import numpy as np
import peft
import pytest
import torch
from flax import nnx

from tests.compare import relative_error
from vp_jax import trees
from vp_jax.errors import UserError
from vp_jax.models import lora
from vp_jax.models.config import LoRAConfig

LAYERS, WIDTH = 3, 12
TARGETS = ("blocks/attn/to_q", "blocks/attn/to_out", "blocks/ff/up", "proj_out")


class Attn(nnx.Module):
    def __init__(self, dtype, rngs):
        self.to_q = nnx.Linear(WIDTH, WIDTH, dtype=dtype, rngs=rngs)
        self.to_out = nnx.Linear(WIDTH, WIDTH, use_bias=False, dtype=dtype, rngs=rngs)


class FF(nnx.Module):
    def __init__(self, dtype, rngs):
        self.up = nnx.Linear(WIDTH, 2 * WIDTH, dtype=dtype, rngs=rngs)
        self.down = nnx.Linear(2 * WIDTH, WIDTH, dtype=dtype, rngs=rngs)


class Block(nnx.Module):
    def __init__(self, dtype, rngs):
        self.attn = Attn(dtype, rngs)
        self.ff = FF(dtype, rngs)

    def __call__(self, x):
        x = x + self.attn.to_out(jnp.tanh(self.attn.to_q(x)))
        return x + self.ff.down(jnp.tanh(self.ff.up(x)))


class Toy(nnx.Module):
    def __init__(self, dtype=None, *, rngs):
        self.blocks = jax.vmap(lambda r: Block(dtype, r))(rngs.split(LAYERS))
        self.proj_out = nnx.Linear(WIDTH, 5, dtype=dtype, rngs=rngs)

    def __call__(self, x):
        x, _ = jax.lax.scan(lambda x, block: (block(x), None), x, self.blocks)
        return self.proj_out(x)


@pytest.fixture(scope="module")
def toy():
    return Toy(rngs=nnx.Rngs(0))


def random_adapter(toy, cfg, seed):
    new = lora.init(cfg, trees.split(toy)[1], jax.random.key(seed))
    draw = np.random.default_rng(seed)
    return cfg, jax.tree.map(lambda leaf: jnp.asarray(0.3 * draw.normal(size=leaf.shape), jnp.float32), new)


@pytest.fixture(scope="module")
def adapters(toy):
    """Two that share a target, with their own ranks and scales."""
    return [
        random_adapter(toy, LoRAConfig(TARGETS, rank=4, scale=0.5), 1),
        random_adapter(toy, LoRAConfig(("blocks/attn/to_q", "blocks/ff/down"), rank=2, scale=-1.25), 2),
    ]


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(jax.random.key(7), (2, 5, WIDTH))


@pytest.mark.slow
def test_new_adapter_changes_nothing(toy, x):
    cfg = LoRAConfig(TARGETS, rank=4)
    _, like = trees.abstract(lambda: Toy(rngs=nnx.Rngs(0)))
    new = lora.init(cfg, like, jax.random.key(0))
    np.testing.assert_array_equal(lora.attach(toy, [(cfg, new)])(x), toy(x))
    merged = lora.merge(trees.split(toy)[1], [(cfg, new)])
    jax.tree.map(np.testing.assert_array_equal, merged, trees.split(toy)[1])


def test_new_adapter_is_distributed_like_peft(toy):
    """A uniform in +-1/sqrt(in) and different in every layer and target, B zero."""
    cfg = LoRAConfig(TARGETS, rank=64)
    new = trees.flatten(lora.init(cfg, trees.split(toy)[1], jax.random.key(0)))
    reference = peft.tuners.lora.Linear(torch.nn.Linear(WIDTH, 7), "default", peft.LoraConfig(), r=512, lora_alpha=1)
    want = reference.lora_A["default"].weight.detach().numpy()
    a = np.asarray(new["blocks/attn/to_q/lora_a"])
    assert a.shape == (LAYERS, WIDTH, 64) and new["proj_out/lora_a"].shape == (WIDTH, 64)
    assert abs(a.std() / want.std() - 1) < 0.05
    assert 0.95 < np.abs(a).max() * np.sqrt(WIDTH) <= 1 and np.abs(want).max() * np.sqrt(WIDTH) <= 1
    assert not np.array_equal(a[0], a[1])
    assert not np.array_equal(a, new["blocks/attn/to_out/lora_a"])
    assert all(not leaf.any() for path, leaf in new.items() if path.endswith("lora_b"))


def test_single_linear_equals_peft():
    layer = peft.tuners.lora.Linear(torch.nn.Linear(WIDTH, 7), "default", peft.LoraConfig(), r=3, lora_alpha=2)
    with torch.no_grad():
        layer.lora_B["default"].weight.normal_()
    a, b = (getattr(layer, f"lora_{side}")["default"].weight.detach().numpy().T for side in "AB")
    holder = nnx.Module()
    holder.proj = nnx.Linear(WIDTH, 7, rngs=nnx.Rngs(0))
    holder.proj.kernel[...] = jnp.asarray(layer.base_layer.weight.detach().numpy().T)
    holder.proj.bias[...] = jnp.asarray(layer.base_layer.bias.detach().numpy())
    params = {"proj": {"lora_a": jnp.asarray(a), "lora_b": jnp.asarray(b)}}
    adapter = (LoRAConfig(("proj",), rank=3, scale=2 / 3), params)
    x = np.random.default_rng(0).normal(size=(4, WIDTH)).astype(np.float32)
    want = layer(torch.from_numpy(x)).detach().numpy()
    assert relative_error(lora.attach(holder, [adapter]).proj(x), want) <= 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("which", [[0], [1], [0, 1], []])
def test_merged_equals_attached(toy, adapters, x, which):
    chosen = [adapters[i] for i in which]
    merged = nnx.merge(trees.split(toy)[0], lora.merge(trees.split(toy)[1], chosen))
    attached = lora.attach(toy, chosen)(x)
    assert relative_error(merged(x), attached) <= 1e-6
    if chosen:
        assert relative_error(attached, toy(x)) > 1e-2


def test_attach_shares_arrays_and_leaves_the_model_alone(toy, adapters, x):
    before, names = toy(x), set(trees.flatten(trees.split(toy)[1]))
    attached = lora.attach(toy, adapters)
    assert attached.blocks.attn.to_q.kernel[...] is toy.blocks.attn.to_q.kernel[...]
    assert type(toy.blocks.attn.to_q) is nnx.Linear
    np.testing.assert_array_equal(toy(x), before)
    found = trees.flatten(trees.split(attached)[1])
    assert names < set(found)
    assert found["blocks/attn/to_q/lora_0/lora_a"].shape == (LAYERS, WIDTH, 4)
    assert found["blocks/attn/to_q/lora_1/lora_b"].shape == (LAYERS, 2, WIDTH)
    assert "blocks/ff/down/lora_1/lora_a" in found and "blocks/ff/down/lora_0/lora_a" not in found


@pytest.mark.slow
def test_gradients_reach_the_adapter_inside_jit(toy, adapters, x):
    """Against finite differences, with the base and the adapter as two trees of traced arrays."""
    graphdef, base = trees.split(toy)
    cfg, params = adapters[0]

    @jax.jit
    def loss(params, base):
        return jnp.mean(jnp.square(lora.attach(nnx.merge(graphdef, base), [(cfg, params)])(x)))

    grads = jax.grad(loss)(params, base)
    direction = jax.tree.map(lambda g: g / jnp.linalg.norm(g), grads)
    for path, leaf in trees.flatten(grads).items():
        step = trees.unflatten({p: 1e-2 * d * (p == path) for p, d in trees.flatten(direction).items()})
        ahead, behind = (loss(jax.tree.map(lambda a, b, s=sign: a + s * b, params, step), base) for sign in (1, -1))
        assert (ahead - behind) / 2e-2 == pytest.approx(float(jnp.linalg.norm(leaf)), rel=2e-2), path


@pytest.mark.slow
def test_types(toy, adapters, x):
    """bfloat16 base with a float32 adapter: the compute type is the base's, merging rounds once."""
    half = Toy(jnp.bfloat16, rngs=nnx.Rngs(0))
    assert lora.attach(half, adapters)(x).dtype == jnp.bfloat16
    base = trees.cast(trees.split(toy)[1], jnp.bfloat16)
    merged = lora.merge(base, adapters)["blocks"]["attn"]["to_q"]["kernel"]
    assert merged.dtype == jnp.bfloat16
    exact = np.asarray(base["blocks"]["attn"]["to_q"]["kernel"], np.float64)
    for cfg, params in adapters:
        factors = params["blocks"]["attn"]["to_q"]
        exact = exact + cfg.scale * (
            np.asarray(factors["lora_a"], np.float64) @ np.asarray(factors["lora_b"], np.float64)
        )
    assert np.max(np.abs(np.asarray(merged, np.float64) - exact) / np.maximum(np.abs(exact), 1e-3)) <= 2**-8


def test_refuses_what_does_not_fit(toy, adapters):
    cfg, params = adapters[0]
    base = trees.split(toy)[1]
    other = LoRAConfig(("blocks/attn/to_q", "blocks/attn/to_x", "blocks"), rank=4)
    with pytest.raises(UserError, match=r"blocks/attn/to_x: the model has no such Linear; blocks: the model has no"):
        lora.init(other, base, jax.random.key(0))
    wrong = trees.flatten(params)
    wrong["blocks/attn/to_q/lora_a"] = wrong["blocks/attn/to_q/lora_a"][:2]
    wrong["proj_out/lora_b"] = wrong["proj_out/lora_b"][:2]
    wrong["extra/lora_a"] = wrong.pop("blocks/ff/up/lora_a")
    for apply in (lambda a: lora.attach(toy, a), lambda a: lora.merge(base, a)):
        with pytest.raises(UserError) as fault:
            apply([(cfg, trees.unflatten(wrong))])
        for part in (
            "extra/lora_a: not a target",
            "blocks/ff/up/lora_a: not in the adapter",
            r"blocks/attn/to_q: A (2, 12, 4) and B (3, 4, 12) do not fit the kernel (3, 12, 12)",
            "proj_out: A (12, 4) and B (2, 5) do not fit the kernel (12, 5)",
        ):
            assert part in str(fault.value)
        with pytest.raises(UserError, match="blocks/attn/to_x: the model has no such Linear"):
            apply([(LoRAConfig(("blocks/attn/to_x",), 4), {})])
    with pytest.raises(UserError, match="no such Linear without adapters"):
        lora.attach(lora.attach(toy, adapters), adapters)
