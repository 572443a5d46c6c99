"""Programs of training from the settings of a run, and from a stage's name."""

import importlib

import jax
import pytest

from vp_jax.errors import UserError
from vp_jax.planning import training
from vp_jax.planning.case import bytes_of
from vp_jax.planning.training import Run


def config(name, **model):
    found = importlib.import_module(f"configs.{name}").get_config()
    found.model.update(model)
    return found


@pytest.mark.slow
def test_settings_of_a_run_become_its_programs(one_cpu):
    settings = config("tiny", remat="save_attention")
    settings.data.kind = "latents"
    run = Run.of_config(settings)
    assert (run.batch, run.frames, run.height, run.width) == (2, 9, 64, 96)
    assert run.model.remat == "save_attention" and not run.online
    found = training.programs(run, one_cpu, "cpu")
    state, frozen, batch, _ = found.train_step.arguments
    assert batch.latents_BThwC.shape == (2, 3, 8, 12, 16)
    # two moments beside the masters
    masters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    assert sum(leaf.size for leaf in jax.tree.leaves(state)) == pytest.approx(3 * masters, rel=1e-3)
    assert found.encode.waiting > 12 * masters and found.train_step.waiting == 0 and found.model_flops > 0


def test_what_the_encoders_give_is_what_the_step_takes(one_cpu):
    found = training.programs(Run.of_config(config("tiny")), one_cpu, "cpu")
    assert found.train_step.waiting == bytes_of(found.encode.arguments[0]) > 0
    encoded = found.encode.trace(one_cpu).out_info
    taken = found.train_step.arguments[2]
    assert jax.tree.map(lambda leaf: leaf.shape, encoded) == jax.tree.map(lambda leaf: leaf.shape, taken)


@pytest.mark.slow
def test_attention_is_chosen_for_the_platform_of_the_devices(one_cpu):
    for platform, dtype, backend in (
        ("gpu", "bfloat16", "cudnn"),
        ("gpu", "float32", "chunked"),
        ("tpu", "bfloat16", "splash"),
    ):
        run = Run.of_config(config("tiny", dtype=dtype))
        assert training.programs(run, one_cpu, platform).train_step.attention == backend


def test_clips_that_do_not_fit_the_model_are_refused(one_cpu):
    settings = config("tiny")
    settings.loader.height = 60
    with pytest.raises(UserError, match="height 60: expected a multiple of 16"):
        training.programs(Run.of_config(settings), one_cpu, "cpu")


@pytest.mark.slow
def test_a_stage_by_name_takes_the_model_s_own_size(nano):
    case = nano(precision="float32", batch=4)
    step = training.stage_program(case, "branch", "train_step")
    assert step.arguments[2].latents_BThwC.shape == (4, 5, 8, 12, 32)
    pixels = jax.tree.leaves(training.stage_program(case, "vae", "train_step").arguments[2])[0]
    assert pixels.shape == (4, training.SHORT, 64, 96, 3)
    assert training.stage_program(nano(model="tiny"), "backbone", "train_step") is None
