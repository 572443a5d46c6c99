"""HLO text: instructions with their shapes, and how often each computation runs."""

import jax
import jax.numpy as jnp

from vp_jax.planning.hlo_text import HloShape, Instruction, parse, runs

TEXT = """HloModule jit_f, is_scheduled=true

%body (s: (s32[], bf16[64,32])) -> (s32[], bf16[64,32]) {
  %s = (s32[]{:T(128)}, bf16[64,32]{1,0:T(8,128)(2,1)}) parameter(0)
  %x = bf16[64,32]{1,0:T(8,128)(2,1)} get-tuple-element(%s), index=1
  %kernel.2 = (f32[256,128]{1,0}, /*index=1*/bf16[6,256]{1,0}) custom-call(%x, %x), \
custom_call_target="tpu_custom_call", frontend_attributes={kernel_metadata={"text": "
}}, metadata={op_name="a"}
  ROOT %t = (s32[], bf16[64,32]{1,0}) tuple(%x, %x)
}

%condition (s: (s32[], bf16[64,32])) -> pred[] {
  %bound = s32[]{:T(128)} constant(42)
  ROOT %lt = pred[]{:T(512)} compare(%bound, %bound), direction=LT
}

ENTRY %main (a: bf16[64,32]) -> f32[64] {
  %a = bf16[64,32]{1,0} parameter(0)
  %while.1 = (s32[], bf16[64,32]{1,0}) while(%a), condition=%condition, body=%body
  ROOT %while.2 = (s32[], bf16[64,32]{1,0}) while(%a), condition=%condition, body=%body, \
backend_config={"known_trip_count":{"n":"7"}}
}
"""


def test_instructions_are_read_with_shapes_and_operands():
    computations, entry = parse(TEXT)
    assert entry == "main" and list(computations) == ["body", "condition", "main"]
    kernel = computations["body"][2]
    assert (kernel.name, kernel.op, kernel.operands) == ("kernel.2", "custom-call", ("x", "x"))
    assert kernel.shapes == (HloShape("f32", (256, 128)), HloShape("bf16", (6, 256)))
    assert isinstance(computations["main"][0], Instruction)


def test_bytes_of_shapes():
    assert [HloShape("bf16", (3, 5)).nbytes, HloShape("f32", ()).nbytes, HloShape("token", ()).nbytes] == [30, 4, 0]


def test_a_loop_runs_as_often_as_its_note_or_its_bound_says():
    times, unknown = runs(*parse(TEXT))
    assert times["body"] == 42 + 7 and unknown == 0


def test_a_loop_of_unknown_length_counts_once_and_is_reported():
    def halve(x):
        return jax.lax.while_loop(lambda x: jnp.sum(x) > 1, lambda x: x / 2, x)

    computations, entry = parse(jax.jit(halve).lower(jnp.ones(8)).compile().as_text())
    times, unknown = runs(computations, entry)
    assert unknown == 1 and max(times.values()) >= 1


def test_nested_loops_multiply():
    def layers(x, weights):
        def inner(x, _):
            return jnp.sin(x @ weights[0]), None

        return jax.lax.scan(lambda x, w: (jax.lax.scan(inner, x @ w, None, length=3)[0], None), x, weights)[0]

    computations, entry = parse(jax.jit(layers).lower(jnp.ones((8, 16)), jnp.ones((5, 16, 16))).compile().as_text())
    assert max(runs(computations, entry)[0].values()) == 15
