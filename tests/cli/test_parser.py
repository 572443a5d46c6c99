"""The parser of every command: unknown flags, near misses, settings and what goes to another program."""

import pytest

from vp_jax.cli.parser import Parser, split_settings
from vp_jax.errors import UserError


def parser_of(**attributes):
    parser = Parser(prog="vp-jax test")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--static_guidance", action="store_true")
    for name, value in attributes.items():
        setattr(parser, name, value)
    return parser


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--stpes", "3"], r"^unknown flag --stpes: did you mean --steps\?; see vp-jax test --help$"),
        (["--stpes=3"], r"^unknown flag --stpes: did you mean --steps\?; see"),
        (["--entirely_other"], r"^unknown flag --entirely_other; see"),
        (["--step", "3"], r"^unknown flag --step: did you mean --steps\?; see"),
        (["--static"], "^unknown flag --static"),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'; see vp-jax test --help"),
        (["--steps"], "argument --steps: expected one argument"),
        (["a", "b"], "^unexpected arguments a b; see"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_flag(argv, message):
    with pytest.raises(UserError, match=message):
        parser_of().parse_args(argv)


def test_a_near_miss_in_a_part_of_the_command_is_named():
    parser = Parser(prog="vp-jax test")
    parser.add_subparsers(dest="kind").add_parser("world").add_argument("--height")
    with pytest.raises(UserError, match=r"did you mean --height\?"):
        parser.parse_args(["world", "--heigth=3"])


@pytest.mark.parametrize(
    "argv, rest, settings",
    [
        (["--steps", "3", "--config.a=1"], ["--steps", "3"], ["--config.a=1"]),
        (["--config.a", "1", "--steps", "3"], ["--steps", "3"], ["--config.a=1"]),
        (["--config.a", "-1e-3"], [], ["--config.a=-1e-3"]),
        (["--config.a.b", "--steps", "3"], ["--steps", "3"], ["--config.a.b"]),
        (["--noconfig.a", "--config.b"], [], ["--noconfig.a", "--config.b"]),
        (["--config.a", "--config.b", "2"], [], ["--config.a", "--config.b=2"]),
        (["--config.a="], [], ["--config.a="]),
        (["--config", "tiny", "-config.a=1"], ["--config", "tiny"], ["-config.a=1"]),
    ],
)
def test_settings_are_taken_apart_from_flags(argv, rest, settings):
    assert split_settings(argv) == (rest, settings)


def test_settings_and_arguments_of_another_program_are_kept():
    args = parser_of(settings=True, passes_on="beam").parse_args(
        ["--config.a", "1", "--steps", "3", "--", "--config.a=2", "--stpes"]
    )
    assert (args.settings, args.beam, args.steps) == (["--config.a=1"], ["--config.a=2", "--stpes"], 3)
    assert parser_of(settings=True, passes_on="beam").parse_args([]).beam == []


def test_settings_are_unknown_where_a_command_takes_none():
    with pytest.raises(UserError, match=r"unknown flag --config\.a"):
        parser_of().parse_args(["--config.a=1"])


def test_a_double_dash_is_not_a_value():
    parser = parser_of()
    parser.add_argument("--lora", action="append", default=[])
    for flag in ("--steps", "--lora"):
        with pytest.raises(UserError, match=f"argument {flag}: expected one argument"):
            parser.parse_args([flag, "--"])
    assert parser.parse_args([]).lora == [] and parser.parse_args(["--lora", "x"]).lora == ["x"]


@pytest.mark.parametrize("value", ["9" * 5000, "a\nb", "\x1b[31m"])
def test_a_mistake_is_one_line_whatever_was_typed(value):
    with pytest.raises(UserError, match="invalid int value") as caught:
        parser_of().parse_args([f"--steps={value}"])
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500
