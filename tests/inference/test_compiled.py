"""Programs are shared by every run of the same settings; the image condition is the first frame, then a latent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vp_jax.diffusion.noise import KeyNoise
from vp_jax.inference.compiled import CompiledWindow, placement
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import Carry


def compiled(pipeline, **changes):
    settings = Settings(**{"steps": 2, "window": 5, "overlap": 1, **changes})
    return CompiledWindow(pipeline.models, pipeline.params, pipeline.schedule, settings)


def test_another_seed_is_the_same_program_and_other_steps_are_not(pipeline):
    assert compiled(pipeline).program is compiled(pipeline, seed=7).program
    assert compiled(pipeline).program is not compiled(pipeline, steps=3).program


def test_inputs_go_where_the_weights_are(pipeline):
    put = compiled(pipeline).put({"a": np.zeros(3, np.float32), "b": None})
    assert put["a"].committed and put["a"].sharding == placement(pipeline.params) and put["b"] is None


def test_weights_on_a_mesh_have_inputs_complete_on_every_device():
    mesh = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    where = placement({"backbone": {"a": jax.device_put(jnp.zeros(4), spread)}})
    assert where.is_fully_replicated and where.device_set == set(jax.devices()[:2])


@pytest.mark.slow
def test_the_image_is_the_first_frame_and_then_the_latent_where_the_window_starts(pipeline):
    window = compiled(pipeline)
    pixels, holes = window.put((np.full((1, 5, 32, 32, 3), 0.5, np.float32), np.zeros((1, 5, 32, 32), np.float32)))
    noise = window.put(KeyNoise(jax.random.key(0)))
    first = window.encode(pixels, holes, None, noise)
    carry = window.put(Carry(jnp.arange(2.0)[None, :, None, None, None] * jnp.ones((1, 2, 4, 4, 4)), None))
    later = window.encode(pixels, holes, carry, noise)
    assert (np.asarray(later.image_BThwC[:, 0]) == 1).all() and not np.asarray(later.image_BThwC[:, 1]).any()
    assert np.asarray(first.image_BThwC[:, 0]).std() > 0 and not np.asarray(first.image_BThwC[:, 1]).any()
    np.testing.assert_array_equal(first.video_BThwC, later.video_BThwC)


def test_settings_that_do_not_change_the_encoding_share_its_programs(pipeline):
    one, other, reference = (
        compiled(pipeline, **changes)._jitted
        for changes in ({}, {"steps": 3, "guidance": 2.0, "sampler": "ddim"}, {"mode": "reference"})
    )
    assert one.encode is other.encode and one.encode_image is other.encode_image
    assert one.encode is not reference.encode and one.denoise_step is not other.denoise_step
