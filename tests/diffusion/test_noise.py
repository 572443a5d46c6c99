"""Draws by name: each its own, the same from the same key, and stored ones in their place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.diffusion.noise import DRAW_NAMES, FrameNoise, KeyNoise, StoredNoise

SHAPE = (50, 40)


def test_every_name_and_every_step_draws_its_own():
    source = KeyNoise(jax.random.key(0))
    draws = [source.named(name, SHAPE) for name in DRAW_NAMES] + [source.step(i, SHAPE) for i in range(6)]
    flat = np.stack([np.asarray(draw).ravel() for draw in draws])
    correlation = np.corrcoef(flat)
    assert np.abs(correlation - np.eye(len(draws))).max() < 0.1
    assert np.abs(flat.mean(1)).max() < 4 / np.sqrt(flat.shape[1])
    np.testing.assert_allclose(flat.std(1), 1, atol=0.06)


def test_the_same_key_draws_the_same_and_another_another():
    again, other = KeyNoise(jax.random.key(3)), KeyNoise(jax.random.key(4))
    source = KeyNoise(jax.random.key(3))
    np.testing.assert_array_equal(source.named("video", SHAPE), again.named("video", SHAPE))
    np.testing.assert_array_equal(source.step(2, SHAPE), again.step(jnp.int32(2), SHAPE))
    assert (source.named("video", SHAPE) != other.named("video", SHAPE)).any()


def test_a_source_crosses_jit_and_its_step_may_be_traced():
    source = KeyNoise(jax.random.key(1))
    run = jax.jit(lambda source, index: (source.named("initial", SHAPE), source.step(index, SHAPE)))
    named, stepped = run(source, 5)
    np.testing.assert_array_equal(named, source.named("initial", SHAPE))
    np.testing.assert_array_equal(stepped, source.step(5, SHAPE))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError):
        KeyNoise(jax.random.key(0)).named("mask", SHAPE)


def test_stored_draws_take_the_place_of_drawn_ones():
    steps = jnp.arange(12.0).reshape(3, 2, 2)
    source = StoredNoise({"video": jnp.ones((2, 2))}, steps)
    np.testing.assert_array_equal(source.named("video", (2, 2)), np.ones((2, 2)))
    np.testing.assert_array_equal(source.step(1, (2, 2)), steps[1])
    np.testing.assert_array_equal(jax.jit(lambda s, i: s.step(i, (2, 2)))(source, 2), steps[2])


def test_stored_draws_of_another_shape_are_refused():
    source = StoredNoise({"video": jnp.ones((2, 2))}, jnp.zeros((3, 2, 2)))
    with pytest.raises(ValueError, match=r"stored draw 'video' has shape \(2, 2\), expected \(2, 3\)"):
        source.named("video", (2, 3))
    with pytest.raises(ValueError, match=r"no stored step draws of shape \(4,\)"):
        source.step(0, (4,))
    with pytest.raises(ValueError, match="no stored step draws"):
        StoredNoise({}).step(0, (2, 2))
    with pytest.raises(KeyError):
        source.named("image", (2, 2))


def test_noise_of_a_frame_is_the_same_in_every_window_that_holds_it():
    key, shape = jax.random.key(5), (1, 6, 20, 20, 4)
    run = jax.jit(lambda source: (source.named("initial", shape), source.step(7, shape)))
    for first, second in zip(run(FrameNoise(key, jnp.int32(0))), run(FrameNoise(key, jnp.int32(4)))):
        np.testing.assert_array_equal(first[:, 4:], second[:, :2])
        frames = np.concatenate([first[0], second[0, 2:]]).reshape(10, -1)
        assert np.abs(np.corrcoef(frames) - np.eye(10)).max() < 0.12
        np.testing.assert_allclose(frames.std(1), 1, atol=0.08)


def test_frames_names_and_steps_draw_their_own():
    source, shape = FrameNoise(jax.random.key(6), jnp.int32(2)), (2, 3, 30, 10)
    draws = [source.named(name, shape) for name in DRAW_NAMES] + [source.step(i, shape) for i in range(4)]
    flat = np.stack([np.asarray(draw).ravel() for draw in draws])
    assert np.abs(np.corrcoef(flat) - np.eye(len(draws))).max() < 0.1
