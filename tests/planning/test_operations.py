"""Operations of single instructions, as the compilers for CPUs, GPUs and TPUs write them."""

import jax
import jax.numpy as jnp
import pytest

from vp_jax.planning import hlo
from vp_jax.planning.hlo_text import parse
from vp_jax.planning.operations import Operations, operations


def done(*lines):
    """Operations of the last of some lines of HLO text."""
    computations, entry = parse(
        "ENTRY %main (a: f32[]) -> f32[] {\n" + "\n".join(f"  {line}" for line in lines) + "\n}\n"
    )
    shapes = {i.name: i.shapes for i in computations[entry]}
    return operations(computations[entry][-1], shapes)


def array(name, shape):
    return f"%{name} = {shape} parameter(0)"


def test_convolutions_count_what_meets_a_value():
    x, kernel = jnp.ones((2, 10, 12, 3)), jnp.ones((3, 3, 3, 8))

    def convolve(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    # 3 taps at 10 rows, less one at each border
    text = jax.jit(convolve).lower(x, kernel).compile().as_text()
    assert hlo.analyse(text).matmul_flops == 2 * 2 * 8 * 3 * (3 * 10 - 2) * (3 * 12 - 2)


@pytest.mark.parametrize(
    "left, right, out, contracted, flops",
    [
        ("bf16[452,4096]{1,0}", "bf16[4096,512]{1,0}", "bf16[452,512]{1,0}", "1", 2 * 452 * 4096 * 512),
        ("bf16[4,400,256]{2,1,0}", "bf16[4,256,512]{2,1,0}", "bf16[4,400,512]{2,1,0}", "2", 2 * 4 * 400 * 256 * 512),
    ],
)
def test_products_of_cublas_count_like_any_other(left, right, out, contracted, flops):
    assert done(
        array("a", left),
        array("b", right),
        f'%custom-call.1 = ({out}, s8[4194304]{{0}}) custom-call(%a, %b), custom_call_target="__cublas$lt$matmul", '
        'backend_config={"operation_queue_id":"0","gemm_backend_config":{"dot_dimension_numbers":{'
        f'"lhs_contracting_dimensions":["{contracted}"],"rhs_contracting_dimensions":["0"]}},"beta":0}}}}',
    ) == Operations(flops, 0.0)


CONVOLUTION = 'window={size=3x5 stride=2x1 pad=0_0x2_2}, dim_labels=b01f_o01i->b01f, custom_call_target="__cudnn$%s"'
X, KERNEL, Y = "bf16[2,41,48,64]{3,2,1,0}", "bf16[32,3,5,64]{3,2,1,0}", "bf16[2,20,48,32]{3,2,1,0}"


@pytest.mark.parametrize(
    "kind, first, second, result",
    [
        ("convForward", X, KERNEL, Y),
        ("convBiasActivationForward", X, KERNEL, Y),
        ("convBackwardInput", Y, KERNEL, X),
        ("convBackwardFilter", X, Y, KERNEL),
    ],
)
def test_a_convolution_of_cudnn_and_its_gradients_take_the_same_operations(kind, first, second, result):
    # 3 rows of the kernel at every second of 41 rows; 5 columns at 48, less 1 and 2 at both borders
    expected = 2 * 2 * 32 * 64 * (20 * 3) * (5 * 48 - 6)
    assert done(
        array("a", first),
        array("b", second),
        f"%conv = ({result}, u8[0]{{0}}) custom-call(%a, %b), " + CONVOLUTION % kind,
    ) == Operations(expected, 0.0)


def test_attention_of_cudnn_counts_every_query_with_every_key():
    q, k, out = "bf16[2,70,48,64]{3,2,1,0}", "bf16[2,100,48,64]{3,2,1,0}", "bf16[2,48,70,64]{3,1,2,0}"
    product = 2 * 2 * 48 * 64 * 70 * 100
    arrays = [array("q", q), array("k", k), array("o", q), array("lse", "f32[2,48,70]{2,1,0}")]
    assert done(
        *arrays,
        f"%call = ({out}, u8[0]{{0}}) custom-call(%q, %k, %k), "
        'custom_call_target="__cudnn$fmhaSoftmax", backend_config={}',
    ) == Operations(0.0, 2 * product)
    assert done(
        *arrays,
        f"%call = ({out}, {out}, {out}, u8[0]{{0}}) custom-call(%q, %k, %k, %lse, %o, %o), "
        'custom_call_target="__cudnn$fmhaSoftmaxBackward", backend_config={}',
    ) == Operations(0.0, 5 * product)


@pytest.mark.parametrize("kernel, products", [("fwd_no_residuals", 2), ("dq_segmented", 3), ("dkv", 4)])
def test_splash_attention_counts_the_products_of_its_kernels(kernel, products):
    q, k = "bf16[6,256,64]{2,1,0:T(8,128)(2,1)}", "bf16[6,512,64]{2,1,0:T(8,128)(2,1)}"
    assert done(
        array("q", q),
        array("k", k),
        f'%splash_mha_{kernel}.2 = {q} custom-call(%q, %k, %k), custom_call_target="tpu_custom_call"',
    ) == Operations(0.0, products * 2 * 6 * 256 * 512 * 64)


def test_everything_else_takes_none():
    assert done(array("a", "f32[8]{0}"), "%b = f32[8]{0} add(%a, %a)") == Operations()
    assert done(array("a", "f32[8]{0}"), '%b = f32[8]{0} custom-call(%a), custom_call_target="topk"') == Operations()
