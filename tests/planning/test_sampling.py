"""Programs of sampling fit together: what one returns is what the next takes."""

import jax
import pytest

from vp_jax.planning import sampling
from vp_jax.planning.case import bytes_of


def shapes(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def traced(prepared, nano):
    return shapes(prepared.trace(nano().mesh).out_info)


def test_a_window_is_encoded_to_what_a_step_takes(nano):
    latents = traced(sampling.encode(nano()), nano)
    assert shapes(sampling.step(nano()).arguments[3].latents) == latents
    assert latents.video_BThwC[0] == (1, 5, 8, 12, 32)
    image = traced(sampling.encode_image(nano()), nano)
    assert image == shapes(sampling.encode(nano()).arguments[3])


@pytest.mark.parametrize("adapter", [False, True])
def test_a_step_records_what_a_step_of_the_next_window_reads(nano, adapter):
    state, states = traced(sampling.step(nano(), adapter=adapter, record=True), nano)
    reading = sampling.step(nano(), adapter=adapter, previous=True)
    assert shapes(reading.arguments[1]) == state
    assert shapes(reading.arguments[3].previous.states_LBSD) == states
    assert states[0][2] == (128 if adapter else reading.arguments[3].previous.masked_BS.shape[1])
    assert sampling.step(nano()).arguments[3].previous is None


@pytest.mark.slow
def test_a_chunk_is_decoded_with_the_cache_of_the_one_before(nano):
    pixels, cache = traced(sampling.decode_chunk(nano(), first=True), nano)
    assert pixels[0] == (1, 9, 64, 96, 3)
    following = sampling.decode_chunk(nano(), first=False)
    assert shapes(following.arguments[3]) == cache
    assert traced(following, nano)[1] == cache


def test_the_text_encoder_gives_what_a_step_takes(nano):
    words = traced(sampling.text(nano(precision="float32")), nano)
    assert shapes(sampling.step(nano(precision="float32")).arguments[3].text_BME) == words
    assert sampling.text(nano(model="tiny")) is None


@pytest.mark.slow
def test_a_backbone_without_an_image_condition_encodes_none(nano):
    case = nano(model="cogvideox-5b")
    assert sampling.sampler(case).clip[2] is None
    assert sampling.encode_image(case) is None


def test_weights_have_the_type_of_the_case(nano):
    for precision in ("bfloat16", "float32"):
        params = sampling.step(nano(precision=precision), adapter=True).arguments[0]
        assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {precision}


def test_weights_that_a_program_does_not_read_wait_on_the_device(nano):
    case = nano(precision="float32")
    made = sampling.sampler(case)
    everything = bytes_of([made.params[name] for name in ("backbone", "branch", "vae")])
    assert made.waiting() == everything and sampling.text(case).waiting == 0, "T5 is gone before the rest is loaded"
    assert sampling.step(case).waiting == bytes_of(made.params["vae"])
    halves = sampling.encode(case).waiting + sampling.decode_chunk(case, first=True).waiting
    assert halves == 2 * everything - bytes_of(made.params["vae"])
    plain, adapted = (sampling.sampler(case, adapter=adapter) for adapter in (False, True))
    assert adapted.waiting("backbone", "branch", "loras") == plain.waiting("backbone", "branch")
    assert adapted.waiting() > plain.waiting()
