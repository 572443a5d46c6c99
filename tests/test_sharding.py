"""The rule table covers every array of the 5B models; bytes per device fall as 1/fsdp; faults are named."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec as P

from vp_jax import sharding, trees
from vp_jax.errors import UserError
from vp_jax.models import lora
from vp_jax.models.branch import Branch
from vp_jax.models.config import BranchConfig, DiTConfig, LoRAConfig, T5Config, VAEConfig
from vp_jax.models.dit import DiT
from vp_jax.models.t5 import T5Encoder
from vp_jax.models.vae.vae import VAE
from vp_jax.training.optim import OptimConfig, make_optimizer

FULL = DiTConfig(num_heads=48, head_dim=64, num_layers=42, in_channels=32, learned_positions=True)
FULL_BRANCH = BranchConfig(DiTConfig(num_heads=48, head_dim=64, num_layers=2, in_channels=33, learned_positions=True))
ADAPTER = LoRAConfig(targets=tuple(f"blocks/attn/to_{n}" for n in ("q", "k", "v", "out")), rank=256)


def shapes(build):
    return trees.abstract(build)[1]


@pytest.fixture(scope="module")
def state():
    """Every array of a training run of the released size, as shapes: both stages at once."""
    backbone = shapes(lambda: DiT(FULL, rngs=nnx.Rngs(0)))
    branch = shapes(lambda: Branch(FULL_BRANCH, rngs=nnx.Rngs(0)))
    adapter = jax.eval_shape(lambda: lora.init(ADAPTER, backbone, jax.random.key(0)))
    return {
        "frozen": {
            "backbone": backbone,
            "vae": shapes(lambda: VAE(VAEConfig(), rngs=nnx.Rngs(0))),
            "t5": shapes(lambda: T5Encoder(T5Config(), rngs=nnx.Rngs(0))),
        },
        "trainable": {"branch": branch, "lora": adapter},
        "opt": jax.eval_shape(optax.adamw(1e-5).init, {"branch": branch, "lora": adapter}),
        "factored": jax.eval_shape(optax.adafactor(1e-5).init, branch),
        "orthogonal": jax.eval_shape(make_optimizer(OptimConfig(name="muon"), 10).init, branch),
        "step": jax.ShapeDtypeStruct((), jnp.int32),
    }


def test_every_array_of_the_released_size_has_a_place(state):
    mesh = sharding.make_mesh({"fsdp": 4, "tensor": 2})
    placement = sharding.place(state, mesh)
    specs = {
        sharding.path_name(path): leaf.spec for path, leaf in jax.tree_util.tree_leaves_with_path(placement.shardings)
    }
    assert placement.undivided == []
    # only what the 5B model has not: ofs and adapters on other targets share rules with what it has
    assert all("lora" in pattern for pattern in placement.unused), placement.unused
    up = "blocks/ff/up/kernel"
    assert specs[f"frozen/backbone/{up}"] == P(None, ("fsdp", "context"), "tensor")
    # moments lie beside their parameters
    assert specs[f"trainable/branch/{up}"] == specs[f"opt/0/mu/branch/{up}"] == specs[f"opt/0/nu/branch/{up}"]
    assert specs["opt/0/mu/lora/blocks/attn/to_q/lora_b"] == P(None, ("fsdp", "context"), "tensor")


@pytest.mark.parametrize("fsdp", [2, 4, 8])
def test_bytes_per_device_fall_as_one_over_fsdp(state, fsdp):
    mesh = sharding.make_mesh({"data": 8 // fsdp, "fsdp": fsdp})
    for name in ("frozen/backbone", "frozen/t5", "trainable", "opt"):
        tree = state
        for key in name.split("/"):
            tree = tree[key]
        whole = trees.size_bytes(tree)
        part = sharding.bytes_per_device(tree, sharding.place({name: tree}, mesh).shardings[name])
        print(
            f"fsdp {fsdp} {name:16s} {whole / 1e9:7.3f} GB -> {part / 1e9:7.3f} GB per device, x fsdp / whole = "
            f"{part * fsdp / whole:.4f}"
        )
        assert 1.0 <= part * fsdp / whole <= 1.01


def test_a_matrix_without_a_rule_is_an_error():
    mesh = sharding.make_mesh({"fsdp": -1})
    tree = {"blocks": {"new": {"kernel": jnp.ones((2, 8, 8))}, "attn": {"to_q": {"kernel": jnp.ones((8, 8))}}}}
    with pytest.raises(UserError, match=r"to_q/kernel \(8, 8\): rule .* for 3 .*new/kernel \(2, 8, 8\): no rule"):
        sharding.place(tree, mesh)


def test_a_dimension_that_does_not_divide_is_copied_and_told():
    mesh = sharding.make_mesh({"fsdp": 8})
    placement = sharding.place({"zero": {"kernel": jnp.ones((2, 4, 12))}}, mesh)
    assert placement.shardings["zero"]["kernel"].spec == P(None, None, None)
    assert placement.undivided == ["zero/kernel (2, 4, 12) dimension 2 by fsdp*context=8"]


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"fsdp": 3}, "fsdp=3, context=1, tensor=1 is for 3 devices, there are 8"),
        ({"fsdp": -1, "data": -1}, "one of them may be -1"),
        ({"fsdp": 0}, "sizes of at least 1"),
        ({"fsdp": -1, "data": 3}, "is for 3 devices"),
        ({"rows": 8}, r"mesh axes \['rows'\]"),
    ],
)
def test_wrong_meshes_are_told(sizes, message):
    with pytest.raises(UserError, match=message):
        sharding.make_mesh(sizes)


def test_batches():
    mesh = sharding.make_mesh({"data": 2, "fsdp": 2, "context": -1})
    assert mesh.shape == {"data": 2, "fsdp": 2, "context": 2, "tensor": 1}
    got = sharding.batch_shardings({"x": jnp.ones((4, 3))}, mesh)
    assert got["x"].spec == P(("data", "fsdp"))
    assert sharding.batch_shardings(jnp.ones((3, 4)), mesh, axis=1).spec == P(None, ("data", "fsdp"))
    with pytest.raises(UserError, match=r"batch of 2 \(x\) over data=2 x fsdp=2: expected a multiple of 4"):
        sharding.batch_shardings({"x": jnp.ones((2, 3))}, mesh)


def test_constrain_does_nothing_without_a_mesh():
    x = jnp.ones((2, 4, 8))
    assert sharding.constrain(x, "tokens") is x
    with jax.set_mesh(sharding.make_mesh({"data": 2, "context": 4})):
        assert jax.jit(lambda x: sharding.constrain(x, "tokens"))(x).sharding.spec == P("data", "context")


def test_a_size_of_minus_one_takes_what_is_left():
    assert sharding.make_mesh({"tensor": 2, "data": -1}).shape == {"data": 4, "fsdp": 1, "context": 1, "tensor": 2}
    some = sharding.make_mesh({"fsdp": -1}, jax.devices()[:2])
    assert some.shape["fsdp"] == 2 and some.size == 2


def test_names_of_paths_whatever_holds_the_leaves():
    tree = {"a": [1, {"b": 2}], "c": optax.ScaleByAdamState(count=3, mu={"w": 4}, nu=5)}
    names = [sharding.path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    assert names == ["a/0", "a/1/b", "c/count", "c/mu/w", "c/nu"]


def test_the_first_rule_that_matches_places_an_array():
    mesh = sharding.make_mesh({"fsdp": 4, "tensor": 2})
    rules = (
        sharding.ShardingRule("special/kernel", P()),
        sharding.ShardingRule("kernel", P("tensor")),
        sharding.ShardingRule("never", P()),
    )
    tree = {"special": {"kernel": jnp.ones((8, 8))}, "a": {"kernel": jnp.ones((8,))}, "x_kernel": jnp.ones(())}
    placement = sharding.place(tree, mesh, rules)
    assert placement.shardings["special"]["kernel"].spec == P() and placement.shardings["a"]["kernel"].spec == P(
        "tensor"
    )
    assert placement.shardings["x_kernel"].spec == P(), "one value needs no rule"
    assert placement.unused == ["never"]


def test_a_rule_matches_whole_names_only():
    mesh = sharding.make_mesh({"fsdp": 8})
    with pytest.raises(UserError, match=r"a/my_kernel \(8,\): no rule"):
        sharding.place({"a": {"my_kernel": jnp.ones((8,))}}, mesh, (sharding.ShardingRule("kernel", P()),))


def test_placed_shapes_say_where_they_go():
    mesh = sharding.make_mesh({"fsdp": 8})
    tree = {"zero": {"kernel": jnp.ones((2, 4, 16), jnp.bfloat16)}}
    leaf = sharding.placed(tree, mesh)["zero"]["kernel"]
    assert (leaf.shape, leaf.dtype) == ((2, 4, 16), jnp.bfloat16)
    assert leaf.sharding.spec == P(None, None, ("fsdp", "context"))
    assert sharding.bytes_per_device(tree, {"zero": {"kernel": leaf.sharding}}) == 2 * 4 * 16 * 2 // 8


def test_what_lies_in_the_memory_of_the_host_counts_nothing():
    mesh = sharding.make_mesh({"fsdp": 8})
    here = sharding.replicated(mesh)
    there = here.with_memory_kind("pinned_host")
    tree = {"a": jnp.ones((4, 4)), "b": jnp.ones((10,))}
    assert sharding.bytes_per_device(tree, {"a": here, "b": there}) == 4 * 4 * 4


@pytest.mark.parametrize("name, shape", [("tokens", (1, 8, 4)), ("hidden", (1, 8, 4)), ("latents", (1, 2, 4, 4, 3))])
def test_a_batch_of_one_is_copied_and_not_divided(name, shape):
    with jax.set_mesh(sharding.make_mesh({"data": 2, "context": 2, "tensor": 2})):
        spec = jax.jit(lambda x: sharding.constrain(x, name))(jnp.ones(shape)).sharding.spec
    want = {"tokens": P(None, "context"), "hidden": P(None, "context", "tensor"), "latents": P()}[name]
    assert spec == want


def test_a_mesh_of_one_device_is_none():
    assert sharding.current_mesh() is None
    with jax.set_mesh(sharding.make_mesh({}, jax.devices()[:1])):
        assert sharding.current_mesh() is None
    with jax.set_mesh(sharding.make_mesh({"data": 8})):
        assert sharding.current_mesh().shape["data"] == 8
        assert sharding.device_kind() == jax.devices()[0].device_kind


def running_sums(q_BSKA, k_BSKA):
    """Of a token, what depends on all tokens of its own head before it; two inputs, to see that they stay together."""
    return jnp.cumsum(q_BSKA * k_BSKA, axis=1) + jnp.flip(k_BSKA, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [{"context": 4, "tensor": 2}, {"data": 2, "context": 2, "tensor": 2}, {"tensor": 8}])
@pytest.mark.parametrize("length", [16, 13])
def test_every_device_sees_whole_sequences_of_its_heads(sizes, length):
    q, k = (jax.random.normal(jax.random.key(i), (2, length, 8, 3)) for i in range(2))
    want = running_sums(q, k)
    np.testing.assert_array_equal(sharding.with_whole_sequences(running_sums, q, k), want)  # no mesh, nothing to do
    with jax.set_mesh(sharding.make_mesh(sizes)):
        got = jax.jit(lambda q, k: sharding.with_whole_sequences(running_sums, q, k))(q, k)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_heads_that_the_devices_do_not_divide_are_named():
    x = jnp.ones((1, 8, 6, 2))
    with jax.set_mesh(sharding.make_mesh({"context": 4, "tensor": 2})):
        with pytest.raises(UserError, match=r"6 attention heads over context=4 x tensor=2: expected a divisor of 6"):
            sharding.with_whole_sequences(running_sums, x, x)
