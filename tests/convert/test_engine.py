import dataclasses

import jax
import ml_dtypes
import numpy as np
import pytest

from vp_jax import trees
from vp_jax.convert import engine
from vp_jax.convert.engine import Rule
from vp_jax.errors import UserError

RULES = [
    Rule(r"blocks\.(\d+)\.(q|k)\.weight", "blocks/{1}/kernel[{0}]", "linear"),
    Rule(r"blocks\.(\d+)\.(q|k)\.bias", "blocks/{1}/bias[{0}]"),
    Rule(r"patch\.weight", "patch/kernel", "conv2d_as_linear"),
    Rule(r"table", "table", "squeeze0"),
]
LAYERS = 3


def source() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    tensors = {"patch.weight": draw.normal(size=(5, 2, 3, 3)), "table": draw.normal(size=(1, 7, 5))}
    for i in range(LAYERS):
        for name in "qk":
            tensors[f"blocks.{i}.{name}.weight"] = draw.normal(size=(4, 6))
            tensors[f"blocks.{i}.{name}.bias"] = draw.normal(size=4)
    return {k: v.astype(ml_dtypes.bfloat16) for k, v in tensors.items()}


def abstract() -> trees.Tree:
    def leaf(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, np.float32)

    attention = {name: {"kernel": leaf(LAYERS, 6, 4), "bias": leaf(LAYERS, 4)} for name in "qk"}
    return {"blocks": attention, "patch": {"kernel": leaf(18, 5)}, "table": leaf(7, 5)}


def bits(x: np.ndarray) -> bytes:
    return np.ascontiguousarray(x).tobytes()


def test_layouts_by_hand():
    tensors = source()
    tree = engine.to_ours(tensors, RULES, [], abstract(), np.float32)
    assert tree["blocks"]["q"]["kernel"].dtype == np.float32
    np.testing.assert_array_equal(tree["blocks"]["k"]["kernel"][2], tensors["blocks.2.k.weight"].T.astype(np.float32))
    channel, row, column = 1, 2, 0
    np.testing.assert_array_equal(
        tree["patch"]["kernel"][channel * 9 + row * 3 + column],
        tensors["patch.weight"][:, channel, row, column].astype(np.float32),
    )


def test_round_trip_is_bit_exact():
    tensors = source()
    tree = engine.to_ours(tensors, RULES, [], abstract())
    back = engine.to_torch(tree, RULES, {"patch.weight": (5, 2, 3, 3)})
    assert sorted(back) == sorted(tensors)
    for key, value in tensors.items():
        assert back[key].dtype == value.dtype and back[key].shape == value.shape
        assert bits(back[key]) == bits(value), key


@pytest.mark.parametrize("name", sorted(engine.TRANSFORMS))
def test_transforms_are_invertible(name):
    ranks = {"identity": 3, "linear": 2, "conv2d": 4, "conv3d": 5, "conv2d_as_linear": 4, "squeeze0": 3}
    shape = (1, 2, 3, 4, 5)[: ranks[name]]
    x = np.arange(np.prod(shape)).reshape(shape)
    transform = engine.TRANSFORMS[name]
    back = transform.inverse(transform.forward(x), shape)
    np.testing.assert_array_equal(back, x)


def test_convolution_layouts():
    shape = (2, 3, 4, 5, 6)
    x = np.arange(np.prod(shape)).reshape(shape)
    assert engine.TRANSFORMS["conv3d"].forward(x)[3, 4, 5, 2, 1] == x[1, 2, 3, 4, 5]
    assert engine.TRANSFORMS["conv2d"].forward(x[0])[4, 5, 3, 2] == x[0, 2, 3, 4, 5]


def test_every_fault_is_in_one_message():
    tensors = source()
    tensors["surprise"] = np.zeros(3, np.float32)
    tensors[f"blocks.{LAYERS}.q.bias"] = np.zeros(4, ml_dtypes.bfloat16)
    del tensors["blocks.1.k.weight"], tensors["table"]
    tensors["blocks.0.q.weight"] = np.zeros((6, 4), ml_dtypes.bfloat16)
    tensors["patch.weight"] = np.zeros((), ml_dtypes.bfloat16)
    with pytest.raises(UserError) as caught:
        engine.to_ours(tensors, RULES, [], abstract())
    message = str(caught.value)
    assert "6 faults" in message and "\n" not in message
    for part in (
        "- surprise: no rule matches",
        "- blocks.3.q.bias: the model has no blocks/q/bias[3]",
        "+ blocks/k/kernel[1] (blocks.1.k.weight)",
        "+ table (table)",
        "! blocks.0.q.weight: (6, 4) by 'linear' gives (4, 6), the model has (6, 4)",
        "! patch.weight: () by 'conv2d_as_linear' gives None",
    ):
        assert part in message


def test_a_slot_is_filled_once():
    doubled = [*RULES, Rule(r"old_table", "table", "squeeze0")]
    tensors = source()
    tensors["old_table"] = tensors["table"]
    with pytest.raises(UserError, match="- old_table: table is already filled by table"):
        engine.to_ours(tensors, doubled, [], abstract())
    with pytest.raises(UserError, match="- table: 2 rules match"):
        engine.to_ours(source(), [*RULES, Rule(r"ta(b)le", "ta{0}le")], [], abstract())


def test_ignored_is_explicit():
    tensors = source() | {"extra.weight": np.zeros(1, np.float32)}
    assert engine.plan(tensors, RULES, [r"extra\..*"], abstract()).ignored == ("extra.weight",)
    with pytest.raises(UserError, match="- table: used and ignored"):
        engine.to_ours(source(), RULES, ["table"], abstract())


def test_layers_of_one_leaf_share_a_type():
    tensors = source()
    tensors["blocks.1.q.bias"] = tensors["blocks.1.q.bias"].astype(np.float32)
    with pytest.raises(UserError, match="type float32, other layers of blocks/q/bias have bfloat16"):
        engine.to_ours(tensors, RULES, [], abstract())
    engine.to_ours(tensors, RULES, [], abstract(), np.float16)


def test_faults_on_the_way_back():
    tree = engine.to_ours(source(), RULES, [], abstract())
    with pytest.raises(UserError, match=r"the PyTorch shape of patch\.weight is needed"):
        engine.to_torch(tree, RULES)
    with pytest.raises(UserError, match=r"! table: gives table \(1, 7, 5\), expected \(1, 8, 5\)"):
        engine.to_torch(tree, RULES, {"patch.weight": (5, 2, 3, 3), "table": (1, 8, 5)})
    with pytest.raises(UserError, match="- stranger: 0 rules"):
        engine.to_torch(tree | {"stranger": np.zeros(2)}, RULES, {"patch.weight": (5, 2, 3, 3)})


def test_tables_that_cannot_be_inverted_are_refused():
    for rule in (
        dict(source=r"a.b", target="a/b"),
        dict(source=r"a\.(\d+)", target="a"),
        dict(source=r"a", target="b", transform="magic"),
    ):
        with pytest.raises(ValueError):
            Rule(**rule)
    assert dataclasses.replace(RULES[0]).name(engine.Slot("blocks/q/kernel", 11)) == "blocks.11.q.weight"
