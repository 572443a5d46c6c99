"""The one attention call, and the one choice of a backend: by platform, type and head size."""

import itertools

import jax
import pytest

from tests.compare import relative_error
from vp_jax.errors import UserError
from vp_jax.models import attention


@pytest.mark.slow
@pytest.mark.parametrize("queries", [7, 512, 513, 1100])
def test_chunked_equals_whole(queries):
    q, k, v = (
        jax.random.normal(key, (1, n, 2, 8))
        for key, n in zip(jax.random.split(jax.random.key(0), 3), (queries, 130, 130))
    )
    whole = attention.attend(q, k, v, backend="xla")
    assert relative_error(attention.attend(q, k, v, backend="chunked"), whole) < 1e-6


CHOICES = [
    ("cpu", "float32", 32, "heads"),
    ("cpu", "bfloat16", 64, "heads"),
    ("cpu", "float32", 20, "heads"),
    ("gpu", "bfloat16", 64, "cudnn"),
    ("cuda", "float16", 64, "cudnn"),
    ("gpu", "float32", 32, "chunked"),
    ("gpu", "bfloat16", 20, "chunked"),
    ("gpu", "bfloat16", 256, "chunked"),
    ("tpu", "bfloat16", 64, "splash"),
    ("tpu", "float32", 32, "splash"),
    ("tpu", "float16", 64, "chunked"),
    ("tpu", "bfloat16", 192, "chunked"),
]


@pytest.mark.parametrize("platform, dtype, head_dim, expected", CHOICES)
def test_the_fastest_backend_that_serves_the_model_is_chosen(platform, dtype, head_dim, expected):
    printed = []
    found = attention.choose(dtype=dtype, head_dim=head_dim, platform=platform, say=printed.append)
    assert found == expected
    # a line where the fused kernels of the platform are left out, none elsewhere
    assert len(printed) == (platform != "cpu" and expected == "chunked")


def test_the_line_says_what_is_used_and_why(capsys):
    attention.choose("", dtype="float32", head_dim=32, platform="gpu")
    assert capsys.readouterr().out == (
        "attention 'chunked', slower than 'cudnn', which takes bfloat16 and float16, not float32\n"
    )


@pytest.mark.parametrize(
    "requested, dtype, head_dim, platform, words",
    [
        ("flash", "bfloat16", 64, "gpu", "'flash': expected one of xla, chunked, heads, cudnn, splash"),
        ("cudnn", "bfloat16", 64, "cpu", "needs an NVIDIA GPU, this is a cpu: leave the choice open, or use 'chunked'"),
        ("cudnn", "bfloat16", 64, "tpu", "needs an NVIDIA GPU, this is a tpu"),
        ("cudnn", "float32", 64, "gpu", "takes bfloat16 and float16, not float32"),
        ("cudnn", "bfloat16", 20, "gpu", "takes heads of 8, 16 ... 128 values, not 20"),
        ("splash", "bfloat16", 64, "gpu", "needs a TPU, this is a gpu"),
        ("splash", "float16", 64, "tpu", "takes bfloat16 and float32, not float16"),
        ("splash", "bfloat16", 192, "tpu", "multiples of 128, not 192"),
    ],
)
def test_a_backend_requested_by_name_is_used_or_is_an_error(requested, dtype, head_dim, platform, words):
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        attention.choose(requested, dtype=dtype, head_dim=head_dim, platform=platform)


def test_a_request_that_can_be_served_is_served_without_a_word(capsys):
    for name, platform in itertools.product(("xla", "chunked", "heads"), ("cpu", "gpu", "tpu")):
        assert attention.choose(name, dtype="float32", head_dim=20, platform=platform) == name
    assert attention.choose("cudnn", dtype="bfloat16", head_dim=64, platform="gpu") == "cudnn"
    assert capsys.readouterr().out == ""


def test_an_old_driver_is_found_out_only_on_this_machine(monkeypatch):
    monkeypatch.setattr(attention.cudnn, "missing_here", lambda: "needs cuDNN 9.15.1, here is 9.12.0")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    printed = []
    assert attention.choose(dtype="bfloat16", head_dim=64, say=printed.append) == "chunked"
    assert printed == ["attention 'chunked', slower than 'cudnn', which needs cuDNN 9.15.1, here is 9.12.0"]
    assert attention.choose(dtype="bfloat16", head_dim=64, platform="gpu", say=printed.append) == "cudnn"
