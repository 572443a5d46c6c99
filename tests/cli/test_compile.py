"""``vp-jax compile``: training, sampling or the table; flags that do not go together are refused."""

import jax
import pytest

from vp_jax.cli.main import run
from vp_jax.errors import UserError
from vp_jax.planning import aot, compile_sampling, lowering
from vp_jax.planning.devices import Target


@pytest.mark.parametrize(
    "argv, words",
    [
        ([], "no TARGET: expected devices such as h100:1 or v6e:2x4, or --table"),
        (["h100:1"], "give --config FILE for training, such as --config tpu_v4, or --sample"),
        (["h100:1", "--config", "tiny", "--sample"], "--config with --sample: sampling has no settings file"),
        (["h100:1", "--config", "tiny", "--program", "step"], "--program without --sample"),
        (["h100:1", "--config", "tiny", "--mesh", "data=2"], "--mesh without --sample"),
        (["h100:1", "--sample", "--program", "stp"], "--program stp: no such program: did you mean step"),
        (["--table", "--program", "xyz"], "--program xyz: no such program: one of text, encode_image"),
        (["h100:1", "--sample", "--mesh", "8"], "mesh '8': expected AXIS=SIZE"),
        (["local", "--sample", "--model", "xyz"], "model 'xyz': expected one of"),
    ],
)
def test_mistakes_are_named(argv, words, monkeypatch):
    monkeypatch.setattr(compile_sampling, "target", lambda where: Target(where, "cpu", jax.devices(), None, None))
    with pytest.raises(UserError, match=words):
        run(["compile", *argv])


def test_what_is_asked_for_is_compiled(monkeypatch):
    calls = []
    monkeypatch.setattr(aot, "compile_only", lambda config, where: calls.append(("train", where)) or 0)
    monkeypatch.setattr(
        compile_sampling, "compile_sampling", lambda where, programs, **rest: calls.append((where, programs, rest)) or 1
    )
    monkeypatch.setattr(lowering, "print_table", lambda *rest: calls.append(rest) or 0)
    assert run(["compile", "h100:8", "--config", "tiny"]) == 0
    assert run(["compile", "h100:8", "--sample", "--program", "step", "--mesh", "data=2,context=4"]) == 1
    assert run(["compile", "--table", "--precision", "float32", "--program", "text"]) == 0
    sampling = {"mesh": "data=2,context=4", "model": "cogvideox-5b-i2v", "precision": "bfloat16", "weights": ""}
    assert calls == [("train", "h100:8"), ("h100:8", ["step"], sampling), ("nano", ["text"], ("float32",))]
