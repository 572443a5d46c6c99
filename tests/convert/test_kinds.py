"""The list of what can be converted: tables that know their names, shapes that are the models'."""

import json

import pytest
from safetensors.numpy import load_file

from vp_jax import trees
from vp_jax.convert import layout
from vp_jax.convert.kinds import ADAPTERS, KINDS, MODELS

GOLDEN = {"transformer": "transformer", "branch": "branch", "vae": "vae"}


def test_every_part_of_a_checkpoint_has_a_kind():
    assert set(layout.PARTS) - {"tokenizer"} == set(KINDS) - {"lora", "fun_inp", "void"}
    assert set(KINDS) == {*MODELS, *ADAPTERS, "scheduler"}


@pytest.mark.parametrize("kind", GOLDEN)
def test_a_table_knows_the_names_of_its_files_and_no_others(golden, kind):
    model = MODELS[kind]
    stored = load_file(golden / GOLDEN[kind] / model.weights)
    assert all(model.knows(key) for key in stored)
    assert not any(model.knows(f"module.{key}") for key in stored)
    assert not model.knows("mystery.weight") and not model.knows("")


@pytest.mark.parametrize("kind", GOLDEN)
def test_descriptions_there_and_back(golden, kind):
    model = MODELS[kind]
    values = json.loads((golden / GOLDEN[kind] / "config.json").read_text())
    cfg = model.from_torch(values)
    assert model.from_torch(model.to_torch(cfg)) == cfg
    assert len(trees.flatten(model.abstract(cfg))) > 10
    assert all(isinstance(shape, tuple) for shape in model.torch_shapes(cfg).values())
    assert (model.unused is None) == (kind != "branch")
    assert model.normalise(["a", "b"]) == {"a": "a", "b": "b"}
