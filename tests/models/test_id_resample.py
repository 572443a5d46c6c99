"""ID resampling written out: one softmax per token and head over its own keys and the extra ones, in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.compare import relative_error
from tests.models import random_weights
from tests.models.tiny import DIT
from vp_jax.models import rope
from vp_jax.models.dit import Block, Context, Extension
from vp_jax.models.id_resample import (
    PreviousWindow,
    Resample,
    ResampleExtension,
    places,
    room_for,
)
from vp_jax.models.inpaint import predict

GRID, TEXT, BATCH = (2, 2, 3), 3, 2
TOKENS = TEXT + 12
TABLE = rope.rotation(*GRID, DIT.head_dim, TEXT, stretch=True)


@pytest.fixture(scope="module")
def block():
    return random_weights.module(Block, DIT)


@pytest.fixture(scope="module")
def arrays():
    """The modulated input of a block, the previous window's state and the time embedding."""
    rng = np.random.default_rng(3)
    y, state = rng.standard_normal((2, BATCH, TOKENS, DIT.dim), np.float32)
    return y, state, rng.standard_normal((BATCH, DIT.time_dim), np.float32)


def masks_of(share):
    """Joint masks (B, S) with this share of the video tokens masked, others in each example; text never is."""
    masked = np.zeros((BATCH, TOKENS), bool)
    for example in range(BATCH):
        order = np.random.default_rng(example).permutation(TOKENS - TEXT)
        masked[example, TEXT + order[: round(share * (TOKENS - TEXT))]] = True
    return masked


def attention(block, arrays, resample):
    """`ResampleExtension.attention` as one program."""
    y, state, emb = arrays
    states = None if resample.previous is None else state

    def run(y, emb, states):
        ctx = Context(emb, TABLE, TEXT)
        return ResampleExtension(Extension(), resample).attention((None, states), block, y, ctx)

    return jax.jit(run)(y, emb, states)


# the same in NumPy, float64


def normed(x, p, name, eps):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps) * p[f"{name}/scale"] + p[f"{name}/bias"]


def dense(x, p, name):
    return x @ p[f"{name}/kernel"] + p[f"{name}/bias"]


def heads(x):
    return x.reshape(*x.shape[:-1], DIT.num_heads, DIT.head_dim)


def turned(x_SKA):
    """Neighbouring channels as complex numbers, multiplied by e^(i angle) of their token."""
    factor = (np.asarray(TABLE.cos, np.float64) + 1j * np.asarray(TABLE.sin, np.float64))[:, None, :]
    z = (x_SKA[..., 0::2] + 1j * x_SKA[..., 1::2]) * factor
    return np.stack([z.real, z.imag], axis=-1).reshape(x_SKA.shape)


def modulated(state_SD, emb_E, p):
    """The block's first norm with the current time: the text and the video rows of shift and scale."""
    rows = dense(emb_E / (1 + np.exp(-emb_E)), p, "norm1/linear").reshape(2, 3, DIT.dim)  # part; shift, scale, gate
    plain = normed(state_SD, p, "norm1/norm", DIT.norm_eps)
    part = [1 if token < TEXT else 0 for token in range(TOKENS)]
    return np.stack([plain[s] * (1 + rows[part[s], 1]) + rows[part[s], 0] for s in range(TOKENS)])


def softmax_by_hand(q_SKA, keys_SKA, values_SKA):
    """For each query token and head: exponentials of all logits, one by one, and the weighted mean of the values."""
    out_SKA = np.zeros_like(q_SKA)
    for token, head in np.ndindex(q_SKA.shape[:2]):
        weights = [np.exp(q_SKA[token, head] @ key[head] / np.sqrt(DIT.head_dim)) for key in keys_SKA]
        out_SKA[token, head] = sum(w * v[head] for w, v in zip(weights, values_SKA)) / sum(weights)
    return out_SKA


def by_hand(p, y_SD, extra_SD, keep_S, factor, adapter, mix):
    """One example: ``extra`` tokens give k' and v', kept where ``keep`` and times ``factor``."""
    q = turned(normed(heads(dense(y_SD, p, "attn/to_q")), p, "attn/norm_q", 1e-6))
    k = turned(normed(heads(dense(y_SD, p, "attn/to_k")), p, "attn/norm_k", 1e-6))
    v = heads(dense(y_SD, p, "attn/to_v"))
    gate = (keep_S * factor)[:, None, None]
    extra_k = turned(normed(heads(dense(extra_SD, p, "attn/to_k")) * gate, p, "attn/norm_k", 1e-6))
    extra_v = heads(dense(extra_SD, p, "attn/to_v")) * gate
    if adapter:
        out = softmax_by_hand(q, [*k, *extra_k], [*v, *extra_v])
    else:
        out = (1 - mix) * softmax_by_hand(q, k, v) + mix * softmax_by_hand(q, extra_k, extra_v)
    return dense(out.reshape(TOKENS, DIT.dim), p, "attn/to_out")


SHARES = [0.0, 0.1, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("share", SHARES)
def test_own_masked_tokens_are_attended_to_twice(block, arrays, share):
    """The first window: the keys of unmasked tokens are the norm's bias, they take weight and give nothing."""
    module, p = block
    masked = masks_of(share)
    got = attention(module, arrays, Resample(True, jnp.asarray(masked)))
    for example, y in enumerate(arrays[0].astype(np.float64)):
        want = by_hand(p, y, y, masked[example], 1.0, True, None)
        assert relative_error(got[example], want) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.3, 1.0])
@pytest.mark.parametrize("share", SHARES)
def test_later_windows_attend_to_the_masked_tokens_of_the_one_before(block, arrays, share, weight):
    """Its states pass this block's norm with the current time; its own mask decides, this window's does not."""
    module, p = block
    y, state, emb = (array.astype(np.float64) for array in arrays)
    before, here = masks_of(share), masks_of(0.25)
    resample = Resample(True, jnp.asarray(here), PreviousWindow(arrays[1][None], jnp.asarray(before)), weight)
    got = attention(module, arrays, resample)
    for example in range(BATCH):
        extra = modulated(state[example], emb[example], p)
        want = by_hand(p, y[example], extra, before[example], weight, True, None)
        assert relative_error(got[example], want) < 1e-5


def plainly(block, y_BSD, extra_BSD, masked_BS, ctx, weight):
    """The plain formula: zeroed keys pass norm and rotation, then one softmax over all keys."""
    attn, gate = block.attn, masked_BS[:, :, None, None]
    q, (raw_k, v) = attn.queries(y_BSD, ctx.table), attn.raw_keys_values(y_BSD)
    raw_k2, v2 = (jnp.where(gate, a, 0) * weight for a in attn.raw_keys_values(extra_BSD))
    keys = jnp.concatenate([attn.finish_keys(raw_k, ctx.table), attn.finish_keys(raw_k2, ctx.table)], axis=1)
    out = jax.nn.dot_product_attention(q, keys, jnp.concatenate([v, v2], axis=1), implementation="xla")
    return attn.project_out(out)


@pytest.mark.slow
@pytest.mark.parametrize(
    "share, later, backend",
    [
        (0.0, False, "heads"),
        (0.0, True, "chunked"),
        (0.4, False, "chunked"),
        (0.4, True, "heads"),
        (1.0, True, "heads"),
    ],
)
def test_gradients_are_those_of_the_plain_formula(block, arrays, share, later, backend):
    """Of inputs and of every weight, the bias of the key norm too."""
    graph, params = nnx.split(random_weights.module(Block, dataclasses.replace(DIT, attention=backend))[0])
    y, state, emb = map(jnp.asarray, arrays)
    masked, factor = jnp.asarray(masks_of(share)), jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
    ctx = Context(emb, TABLE, TEXT)
    previous = PreviousWindow(state[None], masked) if later else None

    def ours(params, y):
        extension = ResampleExtension(Extension(), Resample(True, masked, previous, 0.5))
        return extension.attention((None, state if later else None), nnx.merge(graph, params), y, ctx)

    def written(params, y):
        block = nnx.merge(graph, params)
        extra = block.norm1(state, emb, TEXT)[0] if later else y
        return plainly(block, y, extra, masked, ctx, 0.5 if later else 1.0)

    both = [jax.jit(jax.grad(lambda *a, f=f: (f(*a) * factor).sum(), (0, 1)))(params, y) for f in (ours, written)]
    for got, want in zip(*map(jax.tree.leaves, both)):
        np.testing.assert_allclose(got, want, atol=1e-5 * float(jnp.abs(want).max()) + 1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_without_the_adapter_two_attentions_are_mixed(block, arrays, weight):
    """No mask and no weight on the keys and values of the window before."""
    module, p = block
    y, state, emb = (array.astype(np.float64) for array in arrays)
    masked = jnp.asarray(masks_of(0.5))
    resample = Resample(False, masked, PreviousWindow(arrays[1][None], masked), weight)
    got = attention(module, arrays, resample)
    for example in range(BATCH):
        extra = modulated(state[example], emb[example], p)
        want = by_hand(p, y[example], extra, np.ones(TOKENS), 1.0, False, weight)
        assert relative_error(got[example], want) < 1e-5


def test_without_adapter_and_previous_window_the_inner_extension_attends(block, arrays):
    class Twice(Extension):
        def attention(self, layer, block, y_BSD, ctx):
            return 2 * y_BSD * layer

    extension = ResampleExtension(Twice(), Resample(False, jnp.asarray(masks_of(0.5))))
    got = extension.attention((3.0, None), block[0], jnp.asarray(arrays[0]), Context(arrays[2], TABLE, TEXT))
    np.testing.assert_array_equal(got, 6 * arrays[0])


def test_layers_are_handed_on_and_states_are_kept_only_if_asked():
    class Inner(Extension):
        def per_layer(self):
            return jnp.arange(5)

        def after_block(self, layer, x_BSD):
            return x_BSD + layer

    states = jnp.zeros((5, 1, TOKENS, DIT.dim))
    masked = jnp.zeros((1, TOKENS), bool)
    keeping = ResampleExtension(Inner(), Resample(True, masked, PreviousWindow(states, masked)), record_states=True)
    numbers, before = keeping.per_layer()
    assert numbers.tolist() == [0, 1, 2, 3, 4] and before is states
    x = jnp.ones((1, TOKENS, DIT.dim))
    assert set(np.unique(keeping.after_block((4, None), x))) == {5.0} and keeping.record((4, None), x) is x
    plain = ResampleExtension(Inner(), Resample(True, masked))
    assert plain.per_layer()[1] is None and plain.record((4, None), x) is None


@pytest.mark.slow
def test_empty_previous_mask_and_own_empty_mask_agree(models, inputs):
    """With nothing masked, every extra key is the norm's bias, wherever it came from."""
    none = jnp.zeros((2, 3 + 18), bool)
    states = jax.random.normal(jax.random.key(5), (5, 2, 21, 32))

    def sample(resample):
        return jax.jit(lambda models, inputs: predict(*models, *inputs, resample=resample).sample)(models, inputs)

    own, previous = (
        sample(Resample(True, none)),
        sample(Resample(True, none, PreviousWindow(states, none), 0.5)),
    )
    np.testing.assert_allclose(own, previous, atol=1e-6)


def test_a_bfloat16_block_stays_bfloat16(arrays):
    half = dataclasses.replace(DIT, dtype="bfloat16", param_dtype="bfloat16")
    module, _ = random_weights.module(Block, half)
    y, state, emb = (jnp.asarray(array, jnp.bfloat16) for array in arrays)
    masked = jnp.asarray(masks_of(0.5))
    resample = Resample(True, masked, PreviousWindow(state[None], masked), 0.5)
    out = jax.eval_shape(
        lambda: ResampleExtension(Extension(), resample).attention((None, state), module, y, Context(emb, TABLE, TEXT))
    )
    assert (out.shape, out.dtype) == (arrays[0].shape, jnp.bfloat16)


@pytest.mark.slow
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("spare", [0, 2])
def test_states_of_masked_tokens_alone_give_what_all_states_give(block, arrays, share, spare):
    """Whatever lies in the places that are left."""
    module, _ = block
    before, here = jnp.asarray(masks_of(share)), jnp.asarray(masks_of(0.25))
    complete = jnp.asarray(arrays[1])
    room = int(before.sum(axis=1).max()) + spare
    numbers = places(before, room)
    kept = jnp.take_along_axis(complete, numbers[:, :, None], axis=1, mode="fill", fill_value=1e4)
    want = attention(module, arrays, Resample(True, here, PreviousWindow(complete[None], before), 0.5))
    fewer = (arrays[0], kept, arrays[2])
    got = attention(module, fewer, Resample(True, here, PreviousWindow(kept[None], before), 0.5))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_masked_tokens_are_recorded_in_their_order():
    masked = jnp.array([[False, True, False, True, True], [False, False, False, False, True]])
    keeping = ResampleExtension(Extension(), Resample(True, masked), record_states=True, room=4)
    x = jnp.arange(10.0).reshape(2, 5, 1)
    assert keeping.record((None, None), x)[..., 0].tolist() == [[1, 3, 4, 0], [9, 0, 0, 0]]
    assert places(masked, 4).tolist() == [[1, 3, 4, 5], [4, 5, 5, 5]]


def test_like_numbers_of_tokens_have_the_same_room():
    assert [room_for(n) for n in (0, 8, 9, 13, 17, 25, 100, 129, 4388)] == [8, 8, 12, 16, 24, 32, 128, 192, 6144]
    rooms = [room_for(n) for n in range(1, 20000)]
    assert all(n <= room <= max(8, 1.5 * n) for n, room in enumerate(rooms, 1)) and len(set(rooms)) < 25
