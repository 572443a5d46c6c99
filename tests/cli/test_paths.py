"""``~`` in every argument and setting of every command that is a path, and in nothing else."""

import argparse
import importlib
import pwd
from pathlib import Path

import pytest

from vp_jax.cli import settings
from vp_jax.cli.main import COMMANDS, parser_of, run
from vp_jax.cli.paths import PATH_SETTINGS, TEXTS, at_home, expanded
from vp_jax.errors import UserError

NO_PATHS = {
    *("prompt", "negative_prompt", "attention", "compile_only", "target", "mesh", "program", "model", "keep"),
    *("step_cache", "gpu_rates", "cuts", "extend", "memory", "groups", "size", "methods", "method", "seeds", "shard"),
    *("scores", "protocol"),
    *("host", "token", "backend", "box", "points", "words", "only"),
    *("base", "config.NAME", "look"),
    *("instruction", "original_caption", "vlm", "target", "caption", "region_caption", "segmenter"),
}
"""Arguments that are words, or names within a folder that another argument gives."""
NO_PATH_SETTINGS = {
    *(
        "boards",
        "validation.kind",
        "data.kind",
        "data.split",
        "data.synthetic_look",
        "distributed",
        "loader.resize",
        "model.attention",
        "model.branch_remat",
    ),
    *(
        "model.dtype",
        "model.injection_tokens",
        "model.name",
        "model.products",
        "model.remat",
        "model.stage",
        "model.vae_error",
    ),
    *("optimizer.name", "validation.split"),
}


def leaves(parser, words=()):
    """Every parser below one, with the words that lead there."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser, [*words]
    for action in below:
        for word, inner in action.choices.items():
            yield from leaves(inner, (*words, word))


def texts(parser):
    """Arguments that take any text."""
    return [
        action for action in parser._actions if action.nargs != 0 and not action.choices and action.type in (None, Path)
    ]


CASES = [(name, parser, words) for name in COMMANDS for parser, words in leaves(parser_of(name), (name,))]


@pytest.mark.parametrize("name, parser, words", CASES, ids=[" ".join(words) for _, _, words in CASES])
def test_every_argument_that_is_a_path_is_made_complete(name, parser, words, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    taken = []
    monkeypatch.setattr(importlib.import_module(f"vp_jax.cli.{name}"), "run", lambda args: taken.append(args))
    argv, given, wanted = [], {}, {}
    for action in texts(parser):
        is_path = action.type is Path or action.dest in TEXTS
        assert is_path or action.dest in NO_PATHS, f"{action.dest}: a path, or none?"
        if action.dest == "config.NAME":
            continue
        before, behind = {"csv": ("train=", "") if name == "shards" else ("", ""), "lora": ("", ":0.5")}.get(
            action.dest, ("", "")
        )
        value = f"{before}~/x y{behind}"
        argv += [f"{action.option_strings[-1]}={value}"] if action.option_strings else [value]
        given[action.dest] = value
        wanted[action.dest] = f"{before}{tmp_path / 'x y'}{behind}" if is_path else value
    choices = [next(iter(a.choices)) for a in parser._actions if not a.option_strings and a.choices]
    run([*words, *choices, *argv])
    (args,) = taken
    for dest, want in wanted.items():
        found = getattr(args, dest)
        assert str(found[0] if isinstance(found, list) else found) == want, (dest, given[dest])


@pytest.mark.parametrize("name", [*settings.names()])
def test_every_setting_that_is_a_path_is_made_complete(name, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    name = f"{name}:tiny" if name in ("id_adapter", "distill") else name
    flat = settings._flat(settings.config_from_file(name))
    known = {key for key, value in flat.items() if isinstance(value, str)}
    assert known <= {*PATH_SETTINGS, *NO_PATH_SETTINGS}, "a path, or none?"
    paths = sorted(known & {*PATH_SETTINGS})
    args = argparse.Namespace(config=name, settings=[f"--config.{key}=~/{key}" for key in paths])
    found = settings._flat(settings.read(args))
    assert len(paths) > 5 and {key: found[key] for key in paths} == {key: str(tmp_path / key) for key in paths}


def test_only_the_start_of_a_path_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~", "out") == str(tmp_path)
    for kept in ("a~/b", "./~", "", "~nobody-of-this-name/x", "~\0"):
        assert expanded(kept, "out") == kept
    args = argparse.Namespace(csv=["a~=~/x", "~/a=b"], out="~.mkv", prompt="~", runs=[Path("~/run"), Path("run")])
    args = at_home(args)
    assert args.csv == [f"a~={tmp_path / 'x'}", str(tmp_path / "a=b")] and (args.out, args.prompt) == ("~.mkv", "~")
    assert args.runs == [tmp_path / "run", Path("run")]


def test_without_a_home_folder_it_is_one_line(monkeypatch):
    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(UserError, match=r"--out ~/out\.mp4: there is no home folder, give the complete path"):
        run(["sample", "--out=~/out.mp4"])
