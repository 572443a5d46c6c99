import numpy as np

from vp_jax.segment.flow import carried, dis_flow, flows_between


def textured(shift=0):
    big = np.random.default_rng(0).integers(0, 255, (12, 20)).astype(np.uint8)
    return np.roll(np.repeat(np.repeat(big, 5, 0), 5, 1), shift, axis=1)


def test_the_flow_of_a_shifted_picture_is_the_shift():
    flows = flows_between(textured(3), textured())
    inner = (slice(10, -10), slice(20, -20))
    assert np.abs(flows.back_HW2[inner] - [-3, 0]).mean() < 0.3
    assert flows.agree_HW[inner].mean() > 0.9


def test_what_is_carried_lies_where_it_is_now():
    mark = np.zeros((60, 100), np.float32)
    mark[20:40, 40:60] = 1
    flow_HW2 = np.zeros((60, 100, 2), np.float32)
    flow_HW2[..., 0] = -3
    assert np.array_equal(carried(mark, flow_HW2), np.roll(mark, 3, axis=1))


def test_the_flow_does_not_agree_where_nothing_is_the_same():
    other = np.random.default_rng(5).integers(0, 255, (60, 100)).astype(np.uint8)
    assert (
        flows_between(textured(), other).agree_HW.mean() < 0.9 < flows_between(textured(3), textured()).agree_HW.mean()
    )


def test_pictures_too_small_for_a_flow_have_none():
    assert not dis_flow(np.zeros((8, 9), np.uint8), np.ones((8, 9), np.uint8)).any()
