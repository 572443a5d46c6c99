"""Digests of arrays: the same on the host and on every mesh, and different after any change."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from vp_jax import sharding
from vp_jax.checkpoint import array_digests
from vp_jax.checkpoint.array_digests import of_arrays

TYPES = [np.float32, ml_dtypes.bfloat16, np.float16, np.int32, np.uint8, np.int8, np.bool_]


def random(shape, dtype, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape) * 50
    return (values > 0) if dtype is np.bool_ else values.astype(dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("shape", [(), (1,), (8, 16, 3), (70_000, 8), (0, 4)], ids=str)
def test_devices_and_host_agree(dtype, shape):
    x = random(shape, dtype)
    want = tuple(int(v) for v in jax.device_get(array_digests._sums_on_devices(jnp.asarray(x))))
    assert array_digests.sums_on_host(x) == want


@pytest.mark.parametrize("spec", [("fsdp",), (None, "fsdp"), (None, None, "fsdp")], ids=str)
@pytest.mark.parametrize("count", [2, 4, 8])
def test_the_division_between_devices_does_not_matter(count, spec):
    x = random((8, 16, 24), np.float32)
    mesh = sharding.make_mesh({"fsdp": count}, jax.devices()[:count])
    divided = jax.device_put(x, NamedSharding(mesh, PartitionSpec(*spec)))
    want = array_digests.sums_on_host(x)
    assert tuple(map(int, jax.device_get(array_digests._sums_on_devices(divided)))) == want
    assert of_arrays({"x": divided}) == of_arrays({"x": x})


def test_arrays_in_the_hosts_memory():
    mesh = sharding.make_mesh({"fsdp": 2}, jax.devices()[:2])
    x = random((8, 16), np.float32)
    away = jax.device_put(x, NamedSharding(mesh, PartitionSpec("fsdp"), memory_kind="pinned_host"))
    assert tuple(map(int, jax.device_get(array_digests._sums_on_devices(away)))) == array_digests.sums_on_host(x)


def test_memory_layout_does_not_matter():
    x = random((30, 40), np.float32)
    assert of_arrays({"x": np.asfortranarray(x)}) == of_arrays({"x": x}) == of_arrays({"x": x.T.copy().T})


def test_type_and_shape_belong_to_the_digest():
    x = random((4, 6), np.float32)
    texts = {of_arrays({"x": y})["x"] for y in (x, x.reshape(6, 4), x.view(np.int32))}
    assert len(texts) == 3 and of_arrays({"x": x})["x"].startswith("float32[4,6] ")


def test_every_flipped_bit_changes_both_sums():
    x = random((3, 5), np.float32)
    before = array_digests.sums_on_host(x)
    for bit in range(x.nbytes * 8):
        data = bytearray(x.tobytes())
        data[bit // 8] ^= 1 << bit % 8
        after = array_digests.sums_on_host(np.frombuffer(bytes(data), np.float32).reshape(x.shape))
        assert after[0] != before[0] and after[1] != before[1], bit


@pytest.mark.parametrize(
    "change",
    [
        lambda x: np.where(np.arange(x.size).reshape(x.shape) < 2, -x, x),  # two signs: equal weights would cancel
        lambda x: -x,
        lambda x: np.roll(x, 1),
        lambda x: x[::-1],
        lambda x: np.concatenate([x[:8192], np.zeros_like(x[8192:])]),
        lambda x: np.concatenate([x[4096:8192], x[:4096], x[8192:]]),
        lambda x: np.zeros_like(x),
        lambda x: np.nextafter(x, np.inf, dtype=np.float32),
    ],
)
def test_damage_of_many_elements_changes_it(change):
    x = random((70_000,), np.float32)
    damaged = np.ascontiguousarray(change(x))
    before, after = array_digests.sums_on_host(x), array_digests.sums_on_host(damaged)
    assert before[0] != after[0] and before[1] != after[1]


def test_random_pairs_of_flips_never_cancel():
    x = random((4096,), np.float32).view(np.uint32)
    before, draw = array_digests.sums_on_host(x), np.random.default_rng(1)
    for _ in range(500):
        damaged = x.copy()
        where = draw.choice(x.size, 2, replace=False)
        damaged[where] ^= np.uint32(1) << draw.integers(0, 32, 2, dtype=np.uint32)
        assert array_digests.sums_on_host(damaged)[0] != before[0]


def test_differences_name_the_arrays():
    stored = of_arrays({"a": np.zeros(3, np.float32), "b": np.ones(2, np.float32)})
    read = of_arrays({"a": np.zeros(3, np.float32), "b": np.zeros(2, np.float32), "c": np.ones(1, np.float32)})
    assert array_digests.changed_arrays(stored, stored) == []
    wrong = array_digests.changed_arrays(stored, read)
    assert len(wrong) == 2 and wrong[0].startswith("b is float32[2] ") and wrong[1].endswith("stored was nothing")
