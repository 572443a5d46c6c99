"""Every registered stage answers all that the program asks of a stage, and equal stages share programs."""

import dataclasses

import jax
import pytest

from vp_jax.training.models import ModelConfig
from vp_jax.training.stages import registry
from vp_jax.training.stages.stage import Stage

QUESTIONS = [name for name in vars(Stage) if not name.startswith("_")]


def described(kind):
    cfg = ModelConfig(stage=kind, name="nano", dtype="float32", rank=2, alpha=2.0)
    return registry.training_models(cfg)


@pytest.mark.parametrize("kind", registry.STAGES)
def test_every_question_has_an_answer(kind):
    stage = described(kind).stage
    assert len(QUESTIONS) > 15 and not [name for name in QUESTIONS if not hasattr(stage, name)]
    assert stage.kind == kind


@pytest.mark.parametrize("kind", registry.STAGES)
def test_equal_settings_give_equal_stages(kind):
    first, second = described(kind).stage, described(kind).stage
    assert first == second and hash(first) == hash(second) and first is not second
    assert dataclasses.is_dataclass(first)


@pytest.mark.parametrize("kind", registry.STAGES)
def test_weights_before_the_first_step_have_the_announced_shapes(kind):
    """From shapes alone: nothing is allocated."""
    stage = described(kind).stage
    models = {name: one.shapes for name, one in stage.origins(None, None).items()}
    made = jax.eval_shape(stage.start, models, jax.eval_shape(lambda: jax.random.key(0)))
    same = jax.tree.map(lambda a, b: a.shape == b.shape and a.dtype == b.dtype, made, stage.shapes())
    assert all(jax.tree.leaves(same))
    assert {leaf.dtype for leaf in jax.tree.leaves(stage.shapes().trainable)} == {jax.numpy.dtype("float32")}


@pytest.mark.parametrize("kind", registry.STAGES)
def test_without_a_checkpoint_all_weights_are_made_at_random(kind):
    assert {one.folder for one in described(kind).stage.origins(None, None).values()} == {None}


def test_what_each_stage_asks_of_its_data():
    stages = {kind: described(kind).stage for kind in registry.STAGES}
    masked = {"branch", "id_adapter", "joint", "single_branch", "distill"}
    assert {kind for kind, stage in stages.items() if stage.needs_masks} == masked
    assert {kind for kind, stage in stages.items() if stage.needs_pixels} == {"vae"}
