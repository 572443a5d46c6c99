"""``vp-jax convert``: what is typed reaches the converter, and mistakes are one line."""

import pytest

from vp_jax.cli.convert import PART_KINDS, WEIGHT_TYPES
from vp_jax.cli.main import run
from vp_jax.convert import main
from vp_jax.convert.kinds import KINDS
from vp_jax.errors import UserError


def test_help_lists_the_kinds_and_types_that_the_converter_knows():
    """They are written twice, so that help loads no JAX."""
    assert set(PART_KINDS) == set(KINDS) and set(WEIGHT_TYPES) == set(main.NUMPY_TYPES)


@pytest.mark.parametrize(
    "typed, function, want",
    [
        ("all A B --base X --dtype float32 --force", "convert_all", {"base": "X", "dtype": "float32", "force": True}),
        ("one lora A B --scale 0.5", "convert_one", {"dtype": None, "scale": 0.5, "num_layers": None}),
        ("one id_adapter A B --num_layers 42", "convert_one", {"dtype": None, "scale": None, "num_layers": 42}),
        ("export vae A B", "export_part", {}),
    ],
)
def test_arguments_reach_the_converter(monkeypatch, typed, function, want):
    calls = []
    monkeypatch.setattr(main, function, lambda *args, **named: calls.append((args, named)))
    assert run(["convert", *typed.split()]) == 0
    ((args, named),) = calls
    assert [str(arg) for arg in args[-2:]] == ["A", "B"] and named == want
    assert len(args) == 2 or args[0] == typed.split()[1]


@pytest.mark.parametrize(
    "typed", ["", "one", "one wardrobe A B", "all A", "all A B --dtype int4", "one lora A B --scale x"]
)
def test_mistakes_are_one_line(typed):
    with pytest.raises(UserError) as caught:
        run(["convert", *typed.split()])
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        run(["convert", "export", "vae", str(tmp_path / "nowhere"), str(tmp_path / "out")])
