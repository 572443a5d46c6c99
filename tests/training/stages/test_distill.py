"""Few-step distillation: its target is where the teacher's sampler arrives, it resumes exactly, its export samples."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.compare import relative_error
from tests.test_configs import config_of
from tests.training.curves import curve
from vp_jax import checkpoint, trees
from vp_jax.diffusion.noise import KeyNoise
from vp_jax.diffusion.schedule import Schedule
from vp_jax.inference.models import Models
from vp_jax.inference.named import SAMPLING_FILE, find_model
from vp_jax.inference.pipeline import Pipeline
from vp_jax.inference.settings import Settings
from vp_jax.inference.state import WindowInputs, WindowLatents
from vp_jax.inference.window import WindowProgram
from vp_jax.models.variants import variant
from vp_jax.runs.train import train
from vp_jax.training.encode import Encoded
from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry
from vp_jax.training.stages.denoising import Draws, condition
from vp_jax.training.stages.distill import DistillStage, GuidedClips, single_step_estimate
from vp_jax.training.stages.stage import StepKeys
from vp_jax.training.stages.weights import random_weights

TINY = variant("tiny")


@pytest.fixture(scope="module")
def stage():
    return DistillStage(TINY.backbone, TINY.branch, steps=2, substeps=2, guidance=3.0)


@pytest.fixture(scope="module")
def teacher():
    weights = {
        "backbone": random_weights(TINY.backbone, jax.random.key(1)),
        "branch": random_weights(TINY.branch, jax.random.key(2)),
    }
    return jax.tree.map(lambda leaf: leaf + 0.02 * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape), weights)


@pytest.fixture(scope="module")
def batch():
    def draw(number, *shape):
        return jax.random.normal(jax.random.key(number), shape)

    image = draw(2, 1, 3, 8, 12, 16) * (jnp.arange(3) == 0)[None, :, None, None, None]
    mask = (draw(3, 1, 3, 8, 12) > 0).astype(jnp.float32)
    clips = Encoded(draw(0, 1, 3, 8, 12, 16), draw(1, 1, 3, 8, 12, 16), mask, draw(4, 1, 6, 24), image)
    return GuidedClips(clips, draw(5, 1, 6, 24))


def test_one_step_of_ddim_with_the_estimate_leads_where_it_was_taken_from():
    x_t, x_0 = (jax.random.normal(jax.random.key(k), (2, 3, 4)) for k in (0, 1))
    abar_t, abar_s = jnp.array([0.0, 0.3]), jnp.array([0.2, 1.0])
    a, s, ta, ts = (jnp.sqrt(v)[:, None, None] for v in (abar_s, 1 - abar_s, abar_t, 1 - abar_t))
    x_s = a * x_0 + s * (x_t - ta * x_0) / ts
    np.testing.assert_allclose(single_step_estimate(x_t, x_s, abar_t, abar_s), x_0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("prediction_type", ["v_prediction", "sample"])
def test_the_target_is_where_the_sampler_arrives_with_the_teacher(stage, teacher, batch, prediction_type):
    """The sampler of inference, four steps of DDIM with guidance, from pure noise: after two of them, and all."""
    settings = Settings(
        steps=4, guidance=3.0, dynamic_guidance=False, sampler="ddim", window=9, overlap=1, hole_fill="black"
    )
    schedule = Schedule(prediction_type=prediction_type)
    program = WindowProgram(Models(TINY.backbone, TINY.branch, TINY.vae), settings, schedule)
    clips, noise = batch.clips, KeyNoise(jax.random.key(7))
    latents = WindowLatents(clips.image_latents_BThwC, clips.latents_BThwC, condition(clips))
    inputs = WindowInputs(latents, jnp.concatenate([batch.empty_BME, clips.text_BME]), None, noise)
    params = {**teacher, "vae": {}, "loras": []}
    abar = jnp.asarray(schedule.abar, jnp.float32)
    target = jax.jit(functools.partial(stage.target, schedule=schedule))
    middle = jax.jit(lambda: program.scan_steps(params, inputs, 2).x)()
    x_t, draws = program.begin(inputs).x, Draws(jnp.array([999]), noise.named("initial", middle.shape))
    found = target(teacher, batch, x_t, draws)
    assert (
        relative_error(found, single_step_estimate(x_t, middle, abar[jnp.array([999])], abar[jnp.array([499])])) < 1e-4
    )
    last = target(teacher, batch, middle, Draws(jnp.array([499]), draws.noise_BThwC))
    assert relative_error(last, jax.jit(lambda: program.scan_steps(params, inputs, 4).x)()) < 1e-4


@pytest.mark.slow
def test_only_the_student_learns_and_only_at_its_own_timesteps(stage, teacher, batch):
    weights = stage.start(teacher, jax.random.key(0))
    assert jax.tree.map(jnp.shape, weights) == jax.tree.map(lambda s: s.shape, stage.shapes())
    keys = jax.random.split(jax.random.key(3), 3)
    many = jax.tree.map(lambda a: jnp.repeat(a, 64, axis=0), batch)
    drawn = stage.draw(StepKeys(*keys), many, Schedule())
    assert set(np.asarray(drawn.t_B).tolist()) == {999, 499}
    draws = Draws(jnp.array([499]), jax.random.normal(keys[0], batch.latents_BThwC.shape))
    loss = jax.jit(lambda w: stage.loss(w, weights.frozen, batch, draws, Schedule()).total(1.0).mean())
    value, gradient = jax.value_and_grad(loss)(weights.trainable)
    assert value > 0 and all(bool(jnp.any(leaf != 0)) for leaf in jax.tree.leaves(gradient["backbone"]["proj_out"]))


def test_a_student_is_continued_and_its_teacher_stays(stage, teacher, tmp_path):
    origins = stage.origins(None, tmp_path)
    assert origins["student_backbone"].folder == tmp_path / "transformer" and origins["backbone"].folder is None
    other = jax.tree.map(lambda leaf: leaf + 1, teacher)
    models = {**teacher, "student_backbone": other["backbone"], "student_branch": other["branch"]}
    weights = stage.start(models, jax.random.key(0))
    whole = stage.whole(*weights)
    np.testing.assert_array_equal(whole["backbone"]["proj_out"]["kernel"], other["backbone"]["proj_out"]["kernel"])
    np.testing.assert_array_equal(weights.frozen["branch"]["zero"]["kernel"], teacher["branch"]["zero"]["kernel"])
    exported = stage.exports(*weights)
    assert set(exported) == {"transformer", "branch"} and exported["branch"][0] == TINY.branch
    shapes = {path: leaf.shape for path, leaf in trees.flatten(teacher["backbone"]).items()}
    assert {path: leaf.shape for path, leaf in trees.flatten(exported["transformer"][1]).items()} == shapes


def test_validation_samples_in_the_steps_of_the_student(stage):
    models = registry.training_models(ModelConfig(stage="distill", name="tiny", dtype="float32", distill_steps=2))
    sampler = models.stage.sampler(models.encoders, Settings(steps=20, window=9, guidance=6.0), Schedule())
    assert (sampler.settings.steps, sampler.settings.guidance, sampler.settings.sampler) == (2, 1.0, "ddim")
    assert (
        models.stage.flops(1, 3, 8, 12)
        > 10 * registry.training_models(ModelConfig(name="tiny", dtype="float32")).stage.flops(1, 3, 8, 12) / 3
    )


@pytest.mark.slow
def test_a_run_resumes_exactly_and_its_export_is_sampled_as_it_was_trained(converted, one_device, tmp_path):
    def run(name, steps):
        config = config_of("distill:tiny")
        config.steps, config.log_every = steps, 1
        config.loader.update(batch_size=1)
        config.optimizer.update(warmup=0, cosine_stretch=100.0 / steps)
        config.model.update(checkpoint=str(converted), distill_steps=2, distill_substeps=1)
        config.checkpoints.every, config.validation.every = 1, 0
        assert train(config, tmp_path / name) == 0
        return checkpoint.load_params(tmp_path / name / "export" / "transformer")

    whole = run("whole", 2)
    run("parts", 1)
    parts = run("parts", 2)
    assert curve(tmp_path / "parts") == curve(tmp_path / "whole")
    jax.tree.map(np.testing.assert_array_equal, parts, whole)
    export = tmp_path / "parts" / "export"
    assert json.loads((export / SAMPLING_FILE).read_text())["steps"] == 2 == find_model(export).settings["steps"]
    settings = Pipeline.describe(export).settings
    assert (settings.steps, settings.guided, settings.sampler) == (2, False, "ddim")
