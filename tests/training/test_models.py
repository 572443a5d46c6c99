"""Settings of the models: every one changes what it says, and which description comes from where."""

import dataclasses
import json

import pytest

from vp_jax.diffusion.schedule import Schedule
from vp_jax.errors import UserError
from vp_jax.models import config, folder
from vp_jax.models.config import T5Config
from vp_jax.models.variants import variant
from vp_jax.training.models import Descriptions, ModelConfig
from vp_jax.training.stages import registry

TINY = ModelConfig(name="tiny", dtype="float32", remat="", branch_remat="", attention="xla")


def described(**changes):
    return registry.training_models(dataclasses.replace(TINY, **changes))


@pytest.fixture
def converted(tmp_path):
    """Descriptions of a checkpoint whose backbone has 3 layers and context encoder 1, with a shifted schedule."""
    models = variant("tiny")
    t5 = T5Config(vocab_size=16, dim=24, head_dim=4, ff_dim=8, num_layers=1, num_heads=2)
    branch = dataclasses.replace(models.branch, dit=dataclasses.replace(models.branch.dit, num_layers=1))
    parts = {
        folder.BACKBONE: dataclasses.replace(models.backbone, num_layers=3),
        folder.BRANCH: branch,
        folder.AUTOENCODER: dataclasses.replace(models.vae, scaling_factor=0.5),
        folder.TEXT_ENCODER: t5,
    }
    for part, description in parts.items():
        (tmp_path / part.folder).mkdir()
        (tmp_path / part.folder / "config.json").write_text(json.dumps(config.to_json(description)))
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "config.json").write_text('{"kind": "scheduler", "snr_shift": 2.0}')
    return tmp_path


def stage_of(**changes):
    return described(**changes).stage


EFFECTS = {
    "stage": lambda tmp: (stage_of(stage="single_branch").kind, "single_branch"),
    "checkpoint": lambda tmp: (stage_of(checkpoint=str(tmp)).backbone.num_layers, 3),
    "name": lambda tmp: (stage_of(name="nano").backbone.num_heads, 7),
    "init_from": lambda tmp: (stage_of(init_from=str(tmp / "branch")).branch.dit.num_layers, 1),
    "tokenizer": lambda tmp: (
        described(stage="backbone", name="nano", tokenizer="words.model").vocabulary.name,
        "words.model",
    ),
    "branch_layers": lambda tmp: (stage_of(branch_layers=3).branch.dit.num_layers, 3),
    "hint_dropout": lambda tmp: (stage_of(stage="joint", name="nano", hint_dropout=0.2).hint_dropout, 0.2),
    "injection_tokens": lambda tmp: (stage_of(injection_tokens="all").injection.tokens, "all"),
    "rank": lambda tmp: (stage_of(stage="id_adapter", rank=8, alpha=8.0).lora.rank, 8),
    "alpha": lambda tmp: (stage_of(stage="id_adapter", rank=8, alpha=2.0).lora.scale, 0.25),
    "products": lambda tmp: (stage_of(products="bfloat16").backbone.products, "bfloat16"),
    "dtype": lambda tmp: (stage_of(dtype="bfloat16").backbone.param_dtype, "bfloat16"),
    "attention": lambda tmp: (stage_of(attention="xla").branch.dit.attention, "xla"),
    "remat": lambda tmp: (stage_of(remat="dots_saveable").backbone.remat, "dots_saveable"),
    "branch_remat": lambda tmp: (stage_of(branch_remat="dots_saveable").branch.dit.remat, "dots_saveable"),
    "vae_slicing": lambda tmp: (described(vae_slicing=True).encoders.slicing, True),
    "kl_weight": lambda tmp: (stage_of(stage="vae", kl_weight=0.5).kl_weight, 0.5),
    "vae_crop": lambda tmp: (stage_of(stage="vae", vae_crop=(16, 24)).crop, (16, 24)),
    "distill_steps": lambda tmp: (stage_of(stage="distill", distill_steps=8).steps, 8),
    "distill_substeps": lambda tmp: (stage_of(stage="distill", distill_substeps=2).substeps, 2),
    "distill_guidance": lambda tmp: (stage_of(stage="distill", distill_guidance=3.0).guidance, 3.0),
    "vae_error": lambda tmp: (stage_of(stage="vae", vae_error="squared").error, "squared"),
}


def test_every_setting_has_a_test_of_its_effect():
    assert set(EFFECTS) == {field.name for field in dataclasses.fields(ModelConfig)}


@pytest.mark.parametrize("name", EFFECTS)
def test_a_setting_changes_what_it_says(name, converted):
    got, want = EFFECTS[name](converted)
    assert got == want


def test_remat_of_the_backbone_is_not_that_of_the_context_encoder():
    stage = stage_of(remat="dots_saveable")
    assert (stage.backbone.remat, stage.branch.dit.remat) == ("dots_saveable", "")


def test_a_checkpoint_brings_schedule_encoders_and_vocabulary(converted):
    models = described(checkpoint=str(converted), name="cogvideox-2b")
    assert models.schedule == Schedule(snr_shift=2.0)
    assert models.encoders.t5.vocab_size == 16 and models.encoders.image and models.latent_scale == 0.5
    assert models.reads_captions and models.vocabulary == converted / "tokenizer" / "spiece.model"
    assert models.text_len == variant("tiny").backbone.max_text_len


def test_a_checkpoint_without_a_context_encoder_gets_two_new_layers(converted):
    (converted / "branch" / "config.json").unlink()
    (converted / "branch").rmdir()
    found = Descriptions.stored(folder.CheckpointFolder(converted))
    assert (found.branch.dit.num_layers, found.branch.dit.in_channels) == (2, 33)
    assert dataclasses.replace(found.branch.dit, num_layers=3, in_channels=32) == found.backbone


def test_without_a_checkpoint_models_and_schedule_are_those_of_the_name():
    models = described(name="cogvideox-2b")
    assert models.schedule == Schedule(snr_shift=3.0) and models.latent_scale == 1.15258426
    assert not models.encoders.image, "text to video"
    assert not described().reads_captions and described().vocabulary is None


def test_the_stages_from_scratch_take_only_what_they_need(converted):
    vae = described(stage="vae", checkpoint=str(converted))
    assert vae.stage.vae.scaling_factor == 0.7, "nothing of the checkpoint"
    assert vae.encoders.shapes() == {} and vae.latent_scale == 1.0
    backbone = described(stage="backbone", name="nano", checkpoint=str(converted))
    assert backbone.encoders.vae.scaling_factor == 0.5 and backbone.stage.backbone.num_layers == 6
    assert set(backbone.encoders.shapes()) == {"vae"} and backbone.reads_captions
    again = described(stage="backbone", name="nano", init_from=str(converted))
    assert again.stage.backbone.num_layers == 3 and again.stage.t5.vocab_size == 16
    assert again.vocabulary == converted / "tokenizer" / "spiece.model"


def test_unknown_stages_are_named_with_the_known_ones():
    with pytest.raises(
        UserError,
        match="stage 'both': expected one of branch, id_adapter, vae, backbone, joint, single_branch, distill",
    ):
        described(stage="both")
