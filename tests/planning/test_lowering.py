"""Every program that a user can start exists for every platform: lowered here, on a CPU, for CPU, CUDA and TPU.

A kernel that refuses a type, a head size or a shape is found without the device it is for.
"""

import jax
import jax.extend.core
import pytest
from jax.interpreters import mlir

from vp_jax import sharding
from vp_jax.inference.load import PRECISIONS
from vp_jax.planning import lowering
from vp_jax.planning.case import Case
from vp_jax.planning.lowering import PLATFORMS, Lowering
from vp_jax.planning.programs import PROGRAMS, Program


@pytest.fixture(autouse=True)
def no_look_at_keys():
    """Following every key through every program takes longer than lowering it."""
    with jax.debug_key_reuse(False):
        yield


FAST = ("text", "encode", "step", "step+id+previous+record", "decode_next")
"""Programs that the fast lane lowers; together the others take a minute."""
LOWERED = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in PROGRAMS]

FASTEST = {"cpu": "heads", "tpu": "splash", "cuda": "cudnn"}


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("program", LOWERED)
def test_every_program_lowers_for_every_platform(program, precision):
    cells = Lowering("nano").cells(program, precision)
    assert [(cell.platform, cell.fault) for cell in cells] == [(platform, None) for platform in PLATFORMS]
    for cell in cells:
        fastest = "chunked" if (precision, cell.platform) == ("float32", "cuda") else FASTEST[cell.platform]
        assert cell.attention in ("", fastest)


@pytest.mark.slow
@pytest.mark.parametrize("platform, kernel", [("cuda", "__cudnn$fmhaSoftmax"), ("tpu", "tpu_custom_call")])
@pytest.mark.parametrize("program", ["step+id+previous", "branch/train_step"])
def test_programs_divided_over_a_mesh_lower_too(program, platform, kernel):
    mesh = sharding.make_mesh({"context": 7}, jax.devices()[:7])
    case = Case(mesh, platform, "nano", "bfloat16", batch=2)
    traced = PROGRAMS[program].prepare(case).trace(mesh)
    with jax.set_mesh(mesh):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert kernel in text and "all_to_all" in text


@pytest.mark.slow
def test_the_released_model_takes_the_fused_kernels():
    for platform, backend in (("cuda", "cudnn"), ("tpu", "splash")):
        cells = Lowering("cogvideox-5b-i2v", [platform]).cells("step", "bfloat16")
        assert [(cell.attention, cell.fault) for cell in cells] == [(backend, None)]


def test_a_program_that_fails_on_one_platform_is_named(monkeypatch):
    def refuse(case):
        raise NotImplementedError("Q must be fp16")

    def only_on_a_cpu(case):
        prepared = PROGRAMS["text"].prepare(case)
        narrow = jax.extend.core.Primitive("narrow")
        narrow.def_abstract_eval(lambda x: x)
        mlir.register_lowering(narrow, lambda ctx, x: [x], platform="cpu")
        return prepared._replace(function=jax.jit(lambda encoder, ids: narrow.bind(ids)))

    monkeypatch.setitem(PROGRAMS, "refused", Program("", refuse))
    monkeypatch.setitem(PROGRAMS, "narrow", Program("", only_on_a_cpu))
    printed = []
    assert lowering.print_table("nano", ["refused", "narrow", "text"], ["float32"], say=printed.append) == 1
    text = "\n".join(printed)
    assert [line.split() for line in printed[1:4]] == [
        ["refused", "FAILED", "FAILED", "FAILED"],
        ["narrow", "ok", "FAILED", "FAILED"],
        ["text", "ok", "ok", "ok"],
    ]
    assert "refused float32 cuda: NotImplementedError: Q must be fp16" in text
    assert "narrow float32 tpu: NotImplementedError" in text and "4 of 9 lowered" in text


@pytest.mark.slow
def test_parts_that_a_model_does_not_have_are_left_out():
    printed = []
    assert lowering.print_table("tiny", ["text", "vae/encode"], say=printed.append) == 0
    assert [line.split()[0] for line in printed[1:-1]] == ["vae/encode"]
