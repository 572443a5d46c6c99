"""What a program is built for: sizes of the model, attention of the platform, arrays on the mesh."""

import jax
import jax.numpy as jnp

from vp_jax.planning.case import Prepared


def test_a_case_has_the_size_of_its_model(nano):
    assert nano().clip == (17, 64, 96)
    assert nano(model="cogvideox-5b-i2v").clip == (49, 480, 720)


def test_attention_follows_platform_and_type(nano, capsys):
    assert nano("gpu").attention == "cudnn"
    assert nano("cuda", precision="float32").attention == "chunked"
    assert nano("tpu", precision="float32").attention == "splash"
    assert capsys.readouterr().out == ""


def test_arrays_lie_on_the_mesh(nano):
    case = nano()
    made = case.copies({"a": jnp.ones((2, 3), jnp.bfloat16)})["a"]
    assert (made.shape, made.dtype) == ((2, 3), jnp.bfloat16)
    assert made.sharding.mesh == case.mesh and case.key().sharding.mesh == case.mesh


def test_a_prepared_program_is_traced_on_its_mesh(nano):
    case = nano()
    prepared = Prepared(
        jax.jit(lambda x, *, times: x * times, static_argnames="times"), (case.array(4),), {"times": 3}, ""
    )
    assert prepared.trace(case.mesh).out_info.shape == (4,)
