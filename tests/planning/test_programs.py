"""The registry holds every program: each file of the product that compiles one is known here."""

import re

import jax
import pytest

from tests.layout import relative, source_files
from vp_jax.planning import training
from vp_jax.planning.programs import PROGRAMS, SAMPLE, TRAIN
from vp_jax.training.stages.registry import STAGES

SCORES = (
    *(
        "background",
        "detail",
        "features",
        "flow",
        "fvd",
        "motion",
        "perceptual",
        "pixels",
        "reference",
        "reference_text",
    ),
    *("regions", "removal", "similarity", "text"),
)

COMPILED = {
    "vp_jax/inference/compiled.py": ["encode", "encode_image", "step"],
    "vp_jax/inference/decode.py": ["decode_first", "decode_next"],
    "vp_jax/models/t5.py": ["text"],
    "vp_jax/runs/latent_shards.py": ["encode"],
    "vp_jax/runs/plan.py": ["branch/encode", "branch/train_step"],
    "vp_jax/runs/held_out.py": ["branch/train_step"],  # its forward pass
    "vp_jax/runs/validation.py": ["branch/validate"],
    "vp_jax/training/stages/denoising.py": ["text"],
    "vp_jax/training/stages/vae.py": ["vae/validate"],
    # keys, copies, digests and first weights: no network in them
    "vp_jax/checkpoint/array_digests.py": [],
    "vp_jax/runs/multihost.py": [],
    "vp_jax/runs/starting_weights.py": [],
    "vp_jax/models/int8.py": [],
    # scores: run on any one device, beside no model
    **{f"vp_jax/eval/{name}.py": [] for name in SCORES},
}
"""Files that compile something, and programs of the registry that stand for it."""


def test_every_file_that_compiles_is_represented():
    files = {relative(path): path.read_text() for path in source_files()}
    found = {name for name, text in files.items() if re.search(r"\bjax\.jit\b", text)}
    assert {name for name in found if not name.startswith(("vp_jax/planning/", "bench/"))} == set(COMPILED)
    assert {program for programs in COMPILED.values() for program in programs} <= set(PROGRAMS)


def test_every_stage_has_its_programs():
    expected = {f"{stage}/{part}" for stage in STAGES for part in ("encode", "train_step", "validate")}
    assert expected - set(TRAIN) == {"id_adapter/encode", "single_branch/encode"}
    assert set(TRAIN) <= expected and not set(SAMPLE) & set(TRAIN)


@pytest.mark.slow
def test_the_encoders_that_are_listed_once_are_the_same_program(nano):
    texts = []
    for stage in ("branch", "id_adapter", "single_branch"):
        prepared = training.stage_program(nano(), stage, "encode")
        texts.append(str(jax.make_jaxpr(prepared.function)(*prepared.arguments)))
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["step", "step+id", "step+previous", "step+id+previous", "step+record"])
def test_the_variants_of_a_step_are_what_their_names_say(nano, name):
    params, *_, inputs = SAMPLE[name].prepare(nano()).arguments
    assert bool(params["loras"]) == ("id" in name.split("+"))
    assert (inputs.previous is not None) == ("previous" in name.split("+"))
    static = SAMPLE[name].prepare(nano()).static
    assert static["record"] == ("record" in name.split("+")) and static["room"] is None


def test_every_program_says_what_it_is():
    assert all(program.about for program in PROGRAMS.values())
    assert len({program.about for program in PROGRAMS.values()}) == len(PROGRAMS)
