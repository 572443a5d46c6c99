"""What a compiled program takes: memory that adds up, operations, the least time, and whether it fits."""

import jax
import pytest

from vp_jax.planning import hlo, report
from vp_jax.planning.case import Prepared
from vp_jax.planning.devices import CHIPS, Chip, Target
from vp_jax.planning.report import Report

EMPTY = hlo.Totals(0.0, 0.0, {}, 0)


def target(name="v6e", **changes):
    chip = CHIPS[name]
    found = Target(name, "tpu" if chip.gpu is None else "gpu", jax.devices()[:1], chip, chip.memory)
    return found._replace(**changes)


def test_memory_of_a_real_program_adds_up(nano):
    case = nano()
    x = case.array(256, 1024)

    def square(x, weight):
        return x + x @ weight

    donated = Prepared(jax.jit(square, donate_argnums=0), (x, case.array(1024, 1024)), {}, "", 10**9)
    found = report.compile_report("square", donated, case.mesh)
    size = 256 * 1024 * 4
    assert (found.arguments, found.outputs, found.aliased) == (size + 1024 * 1024 * 4, size, size)
    assert found.total == found.arguments + found.temporaries + 10**9
    assert found.program.matmul_flops == 2 * 256 * 1024 * 1024 and found.squares == ()
    text = report.lines(found, target(), 1e12)
    assert text[1] == (
        f"  memory per device: arguments 0.01 + outputs 0.00 - aliased 0.00 + temporaries "
        f"{found.temporaries / 1e9:.2f} + other programs 1.00 = {found.total / 1e9:.2f} GB"
    )
    assert "0.0 of them attention; the model needs 1.0" in text[2] and "roofline" in text[-1]


def test_roofline_slows_attention_down():
    program = hlo.Totals(918e12, 918e12, {"all-gather": hlo.Traffic(1, 448e9)}, 0)
    assert report.roofline(program, CHIPS["v6e"]) == (5.0, 1.0)
    assert report.roofline(program, Chip(80, 918e12, 896e9)) == (2.0, 0.5)


@pytest.mark.parametrize(
    "used, goal, words",
    [
        (30, target(), "fits: 30.00 of 32 GB per device"),
        (40, target("h100"), "fits: 40.00 of 80 GB per device"),
        (70, target("h100"), "fits: 70.00 of 80 GB per device; set XLA_PYTHON_CLIENT_MEM_FRACTION=.95"),
        (40, target(memory=None), "memory of this device is not known"),
    ],
)
def test_what_fits_is_said_with_its_memory(used, goal, words):
    text, worst = report.verdict([Report("step", used * 10**9), Report("small", 10**9)], goal)
    assert text.startswith(words) and worst is None


def test_the_largest_program_is_the_one_that_does_not_fit():
    small, large = Report("encode", 10**9), Report("step", 33 * 10**9)
    assert report.verdict([small, large], target()) == ("does not fit 32 GB per device", large)
    too_big = Report("step", too_big="Used 40G of 31.25G hbm")
    assert report.verdict([large, too_big], target())[1] is too_big
    assert report.lines(too_big, target()) == [
        "step: the compiler gave up: Used 40G of 31.25G hbm, 0.00 GB of other programs"
    ]


def test_a_compiler_that_runs_out_of_memory_is_a_report_and_other_faults_are_not(nano):
    class Function:
        def __init__(self, message):
            self.message = message

        def lower(self, *arguments):
            raise jax.errors.JaxRuntimeError(self.message)

    def compiled(message):
        return report.compile_report("step", Prepared(Function(message), (), {}, ""), nano().mesh)

    found = compiled("RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 41.20G of 31.25G hbm.")
    assert found.too_big == "Used 41.20G of 31.25G hbm" and not found.fits(1000)
    with pytest.raises(jax.errors.JaxRuntimeError, match="vmem"):
        compiled("RESOURCE_EXHAUSTED: Ran out of memory in memory space vmem")
