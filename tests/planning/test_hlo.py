"""Programs read from their HLO: loops, matmuls, convolutions as TPUs write them, collectives and their bytes."""

import jax
import jax.numpy as jnp
import pytest

from vp_jax import sharding
from vp_jax.planning import hlo


def compiled(function, *args):
    return jax.jit(function).lower(*args).compile().as_text()


def test_loops_count_as_often_as_they_turn():
    def layers(x, weights):
        def inner(x, _):
            return x @ weights[0], None

        def outer(x, w):
            return jax.lax.scan(inner, jnp.tanh(x @ w), None, length=3)[0], None

        return jax.lax.scan(outer, x, weights)[0]

    text = compiled(layers, jnp.ones((8, 16)), jnp.ones((42, 16, 16)))
    program = hlo.analyse(text)
    assert program.unknown_loops == 0
    assert program.matmul_flops == 42 * (1 + 3) * 2 * 8 * 16 * 16
    # what the compiler itself says counts bodies once
    assert (
        program.matmul_flops
        > 10 * jax.jit(layers).lower(jnp.ones((8, 16)), jnp.ones((42, 16, 16))).compile().cost_analysis()["flops"]
    )


TPU = """HloModule jit_step, is_scheduled=true

%fused (p.0: bf16[64,32], p.1: bf16[32,16]) -> bf16[64,16] {
  %p.0 = bf16[64,32]{1,0:T(8,128)(2,1)} parameter(0)
  %p.1 = bf16[32,16]{1,0:T(8,128)(2,1)S(1)} parameter(1)
  ROOT %convolution.1 = bf16[64,16]{1,0:T(8,128)(2,1)} convolution(%p.0, %p.1), dim_labels=bf_io->bf
}

%condition (s: (s32[], bf16[64,32])) -> pred[] {
  %bound = s32[]{:T(128)} constant(42)
  %s = (s32[]{:T(128)}, bf16[64,32]{1,0:T(8,128)(2,1)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%s), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %bound), direction=LT
}

%body (s.1: (s32[], bf16[64,32])) -> (s32[], bf16[64,32]) {
  %s.1 = (s32[]{:T(128)}, bf16[64,32]{1,0:T(8,128)(2,1)}) parameter(0)
  %x = bf16[64,32]{1,0:T(8,128)(2,1)} get-tuple-element(%s.1), index=1
  %w = bf16[8,16]{1,0:T(8,128)(2,1)} constant({...})
  %all-gather.1 = bf16[32,16]{1,0:T(8,128)(2,1)} all-gather(%w), replica_groups=mesh['axis_0'=4,'axis_1'=2], \
device_ids=([2,4]T(1,0)) {'axis_0'}, dimensions={0}
  %fusion.1 = bf16[64,16]{1,0:T(8,128)(2,1)} fusion(%x, %all-gather.1), kind=kOutput, calls=%fused
  %q = bf16[6,256,64]{2,1,0:T(8,128)(2,1)} constant({...})
  %k = bf16[6,512,64]{2,1,0:T(8,128)(2,1)} constant({...})
  %splash_mha_fwd_no_residuals.2 = (f32[256,128]{1,0}, bf16[6,256,64]{2,1,0:T(8,128)(2,1)}) custom-call(%q, %k, %k), \
custom_call_target="tpu_custom_call", frontend_attributes={kernel_metadata={"text": "
}}, metadata={op_name="splash"}
  %all_to_all.3 = bf16[4,2,100]{2,1,0} all-to-all(%x), replica_groups={{0,1,2,3},{4,5,6,7}}, dimensions={0}
  ROOT %t = (s32[]{:T(128)}, bf16[64,32]{1,0:T(8,128)(2,1)}) tuple(%x, %x)
}

ENTRY %main (a: bf16[64,32]) -> f32[64] {
  %a = bf16[64,32]{1,0:T(8,128)(2,1)} parameter(0)
  %while.1 = (s32[]{:T(128)}, bf16[64,32]{1,0:T(8,128)(2,1)}) while(%a), condition=%condition, body=%body
  %f = f32[64]{0:T(128)} constant({...})
  %all-reduce-start = f32[64]{0:T(128)} all-reduce-start(%f), replica_groups=[2,4]<=[8], to_apply=%add
  ROOT %all-reduce-done = f32[64]{0:T(128)} all-reduce-done(%all-reduce-start)
}
"""


def test_tpu_text():
    program = hlo.analyse(TPU, devices=8)
    assert program.unknown_loops == 0
    assert program.matmul_flops == 42 * 2 * 64 * 32 * 16
    assert program.attention_flops == 42 * 2 * 2 * 6 * 256 * 512 * 64
    assert program.collectives == {
        "all-gather": hlo.Traffic(42, 42 * 8 * 16 * 2 * 3),
        "all-to-all": hlo.Traffic(42, 42 * 64 * 32 * 2 * 3 / 4),
        "all-reduce": hlo.Traffic(1, 64 * 4 * 2 * 3 / 4),
    }


def test_scores_are_found():
    text = compiled(lambda q, k: jnp.sum(jnp.exp(q @ k.T), -1), jnp.ones((40, 8)), jnp.ones((50, 8)))
    assert "f32[40,50]" in hlo.square_buffers(text, 40)
    assert hlo.square_buffers(text, 51) == []
    assert hlo.square_buffers(TPU, 600) == []


@pytest.mark.parametrize(
    "sizes, kind, sent",
    [({"fsdp": 8}, "all-gather", 7 * 8 * 16 * 4), ({"context": 8}, "all-reduce", 2 * 7 / 8 * 64 * 16 * 4)],
)
def test_collectives_of_a_real_program(sizes, kind, sent):
    mesh = sharding.make_mesh(sizes)
    P = jax.sharding.PartitionSpec
    axis = next(iter(sizes))

    def per_device(x):
        return jax.lax.all_gather(x, axis) if kind == "all-gather" else jax.lax.psum(x, axis)

    rows = 8 if kind == "all-gather" else 64
    spec = P(axis) if kind == "all-gather" else P()
    function = jax.shard_map(per_device, mesh=mesh, in_specs=spec, out_specs=P(), check_vma=False)
    x = jnp.ones((rows * (8 if kind == "all-gather" else 1), 16))
    got = hlo.analyse(compiled(function, x), 8).collectives
    assert got == {kind: hlo.Traffic(1, sent)}
