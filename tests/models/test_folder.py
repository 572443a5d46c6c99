"""One reader of checkpoint folders: parts, kinds, the default schedule, and shapes of descriptions."""

import dataclasses
import json
from pathlib import Path

import jax
import pytest
from flax import nnx

import vp_jax
from vp_jax import checkpoint, sharding, trees
from vp_jax.diffusion.schedule import Schedule
from vp_jax.digests import Damaged
from vp_jax.errors import UserError
from vp_jax.models import config, folder
from vp_jax.models.branch import Branch
from vp_jax.models.config import BranchConfig, DiTConfig, LoRAConfig, T5Config, VAEConfig
from vp_jax.models.dit import DiT
from vp_jax.models.folder import CheckpointFolder, abstract_model, read_description
from vp_jax.models.t5 import T5Encoder
from vp_jax.models.vae.vae import VAE
from vp_jax.models.variants import variant

NANO = Path(vp_jax.__path__[0]) / "nano"
TINY = variant("tiny")
T5 = T5Config(vocab_size=16, dim=8, head_dim=4, ff_dim=8, num_layers=1, num_heads=2)
PARTS = tuple(folder.CHECKPOINT_PARTS.values())


def written(root, part, description):
    (root / part.folder).mkdir(parents=True)
    (root / part.folder / "config.json").write_text(json.dumps(config.to_json(description)))


def test_every_kind_of_description_has_one_part_and_one_folder():
    assert [part.kind for part in PARTS] == ["dit", "branch", "vae", "t5", "lora"]
    assert {part.kind for part in PARTS} == set(config.CONFIG_KINDS)
    assert len({part.folder for part in PARTS}) == len({part.name for part in PARTS}) == len(PARTS)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "none"])
def test_a_name_that_cannot_exist_is_a_folder_that_is_not_there(name):
    with pytest.raises(UserError, match="no checkpoint folder"):
        CheckpointFolder.existing(name)


def test_the_shipped_checkpoint_is_read_as_what_it_is():
    source = CheckpointFolder.existing(NANO)
    assert all(source.has(part) for part in PARTS) and source.vocabulary().is_file()
    found = [source.describe(part) for part in PARTS]
    assert [type(one) for one in found] == [DiTConfig, BranchConfig, VAEConfig, T5Config, LoRAConfig]
    assert found[0] == variant("nano").backbone
    assert source.schedule() == variant("nano").schedule


def test_changes_replace_fields_of_the_stored_description(tmp_path):
    written(tmp_path, folder.BRANCH, TINY.branch)
    source = CheckpointFolder(tmp_path)
    plain = source.describe(folder.BRANCH)
    changed = source.describe(folder.BRANCH, dtype="bfloat16", attention="splash")
    assert plain == TINY.branch
    assert changed.dit == dataclasses.replace(TINY.branch.dit, dtype="bfloat16", attention="splash")


def test_a_folder_without_a_schedule_has_that_of_cogvideox_5b(tmp_path):
    source = CheckpointFolder(tmp_path)
    assert source.schedule() == Schedule(snr_shift=1.0)
    (tmp_path / "scheduler").mkdir()
    (tmp_path / "scheduler" / "config.json").write_text('{"kind": "scheduler", "snr_shift": 3.0, "sampler": "ddim"}')
    assert source.schedule() == Schedule(snr_shift=3.0)


def test_what_is_missing_or_of_another_kind_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no checkpoint folder .*nowhere: make one with"):
        CheckpointFolder.existing(tmp_path / "nowhere")
    source = CheckpointFolder(tmp_path)
    assert not source.has(folder.AUTOENCODER)
    with pytest.raises(UserError, match=r"no config.json in .*vae"):
        source.describe(folder.AUTOENCODER)
    written(tmp_path, folder.AUTOENCODER, TINY.backbone)
    with pytest.raises(UserError, match="holds a model of kind dit, not vae"):
        source.describe(folder.AUTOENCODER)
    with pytest.raises(UserError, match="holds a model of kind dit, not lora"):
        read_description(tmp_path / "vae", LoRAConfig)


@pytest.mark.slow
@pytest.mark.parametrize(
    "description, model",
    [(TINY.backbone, DiT), (TINY.branch, Branch), (TINY.vae, VAE), (T5, T5Encoder)],
    ids=["dit", "branch", "vae", "t5"],
)
def test_shapes_are_those_of_the_built_model_and_nothing_is_allocated(description, model):
    graph, shapes = abstract_model(description)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(shapes))
    built = trees.flatten(trees.split(model(description, rngs=nnx.Rngs(1)))[1])
    assert {path: (leaf.shape, leaf.dtype) for path, leaf in trees.flatten(shapes).items()} == {
        path: (leaf.shape, leaf.dtype) for path, leaf in built.items()
    }
    assert isinstance(nnx.merge(graph, shapes), model)
    assert abstract_model(dataclasses.replace(description)) is abstract_model(description)


def test_shapes_know_nothing_of_the_mesh_they_were_first_asked_for_on():
    """They are cached: a sampler on one device gets the same ones as training on a mesh before it."""
    mesh = sharding.make_mesh({"fsdp": 2}, jax.devices()[:2])
    with jax.set_mesh(mesh):
        _, shapes = abstract_model(dataclasses.replace(TINY.backbone, num_layers=3))
    assert {getattr(leaf, "sharding", None) for leaf in jax.tree.leaves(shapes)} == {None}


@pytest.mark.slow
def test_weights_on_disk_fit_the_shapes_of_their_description():
    source = CheckpointFolder.existing(NANO)
    _, shapes = abstract_model(source.describe(folder.AUTOENCODER))
    weights = checkpoint.load_params(source.of(folder.AUTOENCODER), shapes)
    assert jax.tree.map(lambda leaf: leaf.shape, weights) == jax.tree.map(lambda leaf: leaf.shape, shapes)


def test_a_part_of_its_own_comes_before_one_that_is_shared(tmp_path):
    for name in ("weights/vae", "run/vae", "weights/transformer"):
        (tmp_path / name).mkdir(parents=True)
    shared = {name: tmp_path / "weights" / name for name in ("vae", "transformer")}
    folder.write_references(tmp_path / "run", shared)
    found = CheckpointFolder(tmp_path / "run")
    assert found.of(folder.AUTOENCODER) == tmp_path / "run" / "vae"
    assert found.of(folder.BACKBONE) == tmp_path / "weights" / "transformer" and not found.samples_alone()
    assert not CheckpointFolder(tmp_path / "weights").samples_alone(), "a checkpoint that lacks a part is incomplete"


@pytest.mark.parametrize(
    "text, message",
    [
        ("[]", "parts.json is not JSON with names and values"),
        ('{"vae": 3}', "'vae': expected one of .* with the path of a folder"),
        ('{"vae": null}', "'vae': expected one of"),
        ('{"../vae": "x"}', "'../vae': expected one of"),
        ('{"vae": "/nowhere/vae"}', "names /nowhere/vae as vae, which is not there"),
    ],
)
def test_references_that_cannot_be_followed_are_one_line(text, message, tmp_path):
    (tmp_path / "parts.json").write_text(text)
    with pytest.raises(UserError, match=message):
        CheckpointFolder(tmp_path).of(folder.AUTOENCODER)


def test_verifying_follows_references(tmp_path):
    """A damaged part of another folder is found from the export that names it."""
    for name in ("run/branch", "weights/vae"):
        checkpoint.save_config(tmp_path / name, config.to_json(TINY.vae))
    folder.write_references(tmp_path / "run", {"vae": tmp_path / "weights" / "vae"})
    found = CheckpointFolder(tmp_path / "run")
    assert found.verify() == ["branch", "vae"]
    file = tmp_path / "weights" / "vae" / "config.json"
    file.write_text(file.read_text().replace("0.7", "0.8"))
    with pytest.raises(Damaged, match=r"config\.json"):
        found.verify()
