"""Both prompts in one pass, guided by the step's scale; what the previous window left, and the original's fault."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.diffusion.schedule import Schedule
from vp_jax.diffusion.steps import SAMPLERS, row_at
from vp_jax.inference.guided import GuidedPredictor, doubled
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowInputs, WindowLatents
from vp_jax.models.id_resample import PreviousWindow
from vp_jax.models.inpaint import Condition

SCALES = jnp.asarray([2.0, 5.0])


@pytest.fixture(scope="module")
def inputs():
    image, video, masked = (jax.random.normal(jax.random.key(k), (1, 2, 4, 4, 4)) for k in range(3))
    mask = jnp.zeros((1, 2, 4, 4)).at[:, :, :2].set(1)
    text = jax.random.normal(jax.random.key(3), (2, 3, 6))
    latents = WindowLatents(image, video, Condition.of(masked, mask))
    return WindowInputs(latents, text, None, KeyNoise(jax.random.key(4)))


def velocity(pipeline, inputs, index=0, record=False, guided=True, clean=None, windows=1, **changes):
    settings = Settings(steps=2, window=5, **changes)
    predictor = GuidedPredictor(
        pipeline.models, pipeline.params, settings, SCALES, inputs, record, guided=guided, clean=clean
    )
    x = jnp.repeat(jax.random.normal(jax.random.key(5), (1, 2, 4, 4, 4)), windows, axis=0)
    return jax.jit(lambda x, t, i: predictor(x, t, i))(x, jnp.asarray(500), jnp.asarray(index))


@pytest.mark.slow
def test_the_scale_of_the_step_moves_the_velocity_from_the_negative_prompt(pipeline, inputs):
    negative, positive = (
        velocity(pipeline, inputs._replace(text_BME=inputs.text_BME[k : k + 1]), guidance=1.0)[0] for k in (0, 1)
    )
    for index, scale in enumerate(SCALES):
        got = velocity(pipeline, inputs, index)[0]
        assert relative_error(got, negative + scale * (positive - negative)) < 1e-5
    assert relative_error(positive, negative) > 1e-3


@pytest.mark.slow
def test_outside_of_the_interval_of_guidance_the_prompt_alone_is_followed(pipeline, inputs):
    """Also where states are recorded, which are those of both prompts."""
    positive = velocity(pipeline, inputs._replace(text_BME=inputs.text_BME[1:]), guidance=1.0)[0]
    found, nothing = velocity(pipeline, inputs, guided=False)
    assert relative_error(found, positive) < 1e-5 and nothing is None
    found, states = velocity(pipeline, inputs, guided=False, record=True)
    assert relative_error(found, positive) < 1e-5 and states.shape[1] == 2


@pytest.mark.slow
def test_several_windows_at_once_follow_their_own_prompts_outside_of_the_interval(pipeline, inputs):
    """The batch is [negatives, positives]: every window's own positive prompt is left."""
    other = jax.random.normal(jax.random.key(6), inputs.text_BME.shape)
    alone = [velocity(pipeline, inputs._replace(text_BME=text), guided=False)[0] for text in (inputs.text_BME, other)]
    pair = jax.tree.map(lambda a: jnp.concatenate([a, a]), inputs.latents)
    text_BME = jnp.stack([inputs.text_BME, other], axis=1).reshape(4, *other.shape[1:])
    found, _ = velocity(pipeline, inputs._replace(latents=pair, text_BME=text_BME), windows=2, guided=False)
    assert relative_error(found, jnp.concatenate(alone)) < 1e-5 and relative_error(*alone) > 1e-3


@pytest.mark.slow
def test_a_network_that_predicts_clean_values_is_guided_towards_them(pipeline, inputs):
    """What the same network says is read as clean values: the velocity leads from the latents to it."""
    table = SAMPLERS["ddim"].table(Schedule(), 2)
    x = jax.random.normal(jax.random.key(5), (1, 2, 4, 4, 4))
    for index in range(2):
        clean = velocity(pipeline, inputs, index)[0]
        v, row = velocity(pipeline, inputs, index, clean=table)[0], row_at(table, index)
        assert relative_error(row.signal * x - row.sigma * v, clean) < 1e-5


@pytest.mark.slow
def test_states_are_recorded_for_both_prompts(pipeline, inputs):
    assert velocity(pipeline, inputs)[1] is None
    states = velocity(pipeline, inputs, record=True)[1]
    assert states.shape == (2, 2, 3 + 8, 16)


@pytest.mark.slow
def test_reference_mode_reads_the_previous_mask_at_the_first_step_alone(pipeline, inputs):
    states = jax.random.normal(jax.random.key(6), (2, 2, 11, 16))
    models = dataclasses.replace(pipeline.models)
    masks = jnp.zeros((2, 11), bool), jnp.ones((2, 11), bool)

    def run(mask, index, mode):
        window = inputs._replace(previous=PreviousWindow(states, mask))
        settings = Settings(steps=2, window=5, clip_weight=0.5, mode=mode)
        predictor = GuidedPredictor(_WithAdapter(models), pipeline.params, settings, SCALES, window)
        x = jnp.zeros((1, 2, 4, 4, 4))
        return np.asarray(predictor(x, jnp.asarray(500), jnp.asarray(index))[0])

    for mode, index, differ in (("default", 1, True), ("reference", 0, True), ("reference", 1, False)):
        assert (run(masks[0], index, mode) != run(masks[1], index, mode)).any() == differ, (mode, index)


class _WithAdapter:
    """The models as if their backbone had the ID adapter."""

    has_id_adapter = True

    def __init__(self, models):
        self.backbone, self.branch = models.backbone, models.branch


def test_doubling_is_for_guidance():
    tree = {"a": jnp.ones((1, 2)), "b": None}
    assert doubled(tree, True)["a"].shape == (2, 2) and doubled(tree, True)["b"] is None
    assert doubled(tree, False) is tree
